"""The documentation site builds without a warning, holds every document, and loads nothing from elsewhere."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pintuan.app import create_app
from pintuan.base.settings.settings import Settings
from tests.documents import BLOCK, PROJECT
from tests.readmes import FOLDERS, Readme

BUILD_TIMEOUT_S = 60
GUIDES = ("guides/mobile-developer.md", "guides/merchant.md", "guides/python-client.md")
SHOWN_BLOCK = re.compile(r'<div class="highlight"><pre>(.*?)</pre>', re.DOTALL)
TAG = re.compile(r"<[^>]+>")
ELSEWHERE = re.compile(r"(?:[a-z]+:)?//", re.IGNORECASE)
LOADING_ATTRIBUTES = {"src", "srcset", "data", "poster", "action"}
"""What an element loads by itself; a link that a reader may follow (`<a href>`) is none of these."""
LOADING_LINKS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload"}
LOADED_BY_STYLE = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")
LOADED_BY_SCRIPT = re.compile(
    r"(?:fetch|import|importScripts|Worker|EventSource|WebSocket|sendBeacon)\s*\(\s*['\"`]([^'\"`]+)"
    r"|\.(?:src|href)\s*=\s*['\"`]([^'\"`]+)|\bfrom\s*['\"]([^'\"]+)['\"]\s*;"
)


class Loads(HTMLParser):
    """Collects what a page makes a browser load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.found += [given[name] for name in LOADING_ATTRIBUTES & given.keys()]
        if tag == "link" and LOADING_LINKS & set(given.get("rel", "").split()):
            self.found.append(given.get("href", ""))


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Builds as `make docs` does, with the project's configuration."""
    options = ["-W", "--keep-going", "-q", "-b", "html", "-c", "docs", "-d", str(target / "doctrees")]
    return subprocess.run(  # noqa: S603 - the arguments are this file's own.
        [sys.executable, "-m", "sphinx", *options, str(source), str(target / "site")],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_TIMEOUT_S,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built from the documents as they are."""
    target = tmp_path_factory.mktemp("docs")
    outcome = build(PROJECT / "docs", target)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    return target / "site"


def words_of(text: str) -> str:
    """A text without its marks, which the site makes typographic."""
    return " ".join(re.findall(r"\w+", text))


def loads_of(path: Path) -> Iterator[str]:
    """Every address that a file of the site makes a browser load."""
    text = path.read_text()
    if path.suffix == ".html":
        yield from Loads(text).found
    if path.suffix in {".html", ".css"}:
        yield from (first or second for first, second in LOADED_BY_STYLE.findall(text))
    if path.suffix in {".html", ".js"}:
        yield from ("".join(groups) for groups in LOADED_BY_SCRIPT.findall(text))


def test_every_document_has_a_page(site: Path) -> None:
    documents = {path.relative_to(PROJECT / "docs") for path in (PROJECT / "docs").rglob("*.md")}

    assert Path("decisions/0001-redis-places-postgres-decides.md") in documents
    assert [path for path in sorted(documents) if not (site / path.with_suffix(".html")).exists()] == []


@pytest.mark.parametrize("package", FOLDERS)
def test_every_noun_is_on_the_page_of_its_shelf(site: Path, package: str) -> None:
    readme = Readme(package)
    shelf = package.split(".")[1] if package.count(".") > 1 else "foundations"
    page = words_of(unescape(TAG.sub("", (site / f"nouns/{shelf}.html").read_text())))

    assert words_of(readme.beginning.split("\n\n")[0]) in page


def test_a_link_of_a_readme_leads_to_the_page_of_the_same_document(site: Path) -> None:
    assert '../decisions/0017-webhooks-to-merchants.html"' in (site / "nouns/selling.html").read_text()


def test_the_reference_names_every_call_and_every_shape(site: Path) -> None:
    document = json.loads(create_app(Settings(secret_key="signs nothing, shows everything")).state.openapi())
    page = (site / "reference/api.html").read_text()

    assert "/v1/deals/{deal_id}/join" in document["paths"]
    for path, item in document["paths"].items():
        for method in item:
            assert f'<span class="pre">{method.upper()}</span> <span class="pre">{path}</span>' in page
    for name, shape in document["components"]["schemas"].items():
        for field in shape.get("properties", ()):
            assert f'<span class="pre">{field}</span>' in page, f"{name}.{field}"


@pytest.mark.parametrize("document", GUIDES)
def test_what_one_copies_from_a_guide_is_what_its_document_says(site: Path, document: str) -> None:
    page = (site / document).with_suffix(".html").read_text()
    shown = [unescape(TAG.sub("", block)).strip() for block in SHOWN_BLOCK.findall(page)]
    written = [block.strip() for block in BLOCK.findall((PROJECT / "docs" / document).read_text())]

    assert len(written) > 1
    assert shown == written


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.suffix in {".html", ".css", ".js"}]
    loads = [(address, path.relative_to(site)) for path in files for address in loads_of(path)]

    assert any("_static/styles/furo.css" in address for address, _ in loads)
    assert [load for load in loads if ELSEWHERE.match(load[0])] == []


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text(
        "# Here\n\n[page](gone.md), [section](index.md#left), ![image](lost.png)\n"
    )

    outcome = build(source, tmp_path)

    assert outcome.returncode != 0
    assert [name for name in ("gone.md", "left", "lost.png") if name not in outcome.stderr] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.html", '<script src="https://cdn.example/x.js"></script>'),
        ("page.html", '<link rel="preconnect" href="//fonts.example">'),
        ("page.html", '<style>@import "https://fonts.example/x.css";</style>'),
        ("style.css", "@font-face { src: url(https://fonts.example/x.woff2) }"),
        ("script.js", 'import("https://cdn.example/mermaid.mjs")'),
        ("script.js", 'element.src = "https://cdn.example/x.js"'),
    ],
)
def test_a_load_from_another_host_would_be_noticed(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)

    assert any(ELSEWHERE.match(address) for address in loads_of(path))
