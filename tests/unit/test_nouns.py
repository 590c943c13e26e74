"""Nouns: each is in the list, has parts that are registered, and stands on those above it alone."""

from __future__ import annotations

import inspect
import re
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import grimp
import pytest
from prometheus_client.metrics import MetricWrapperBase

from pintuan import nouns
from pintuan.base.audit import Audit
from pintuan.base.jobs.job import NounJobs
from pintuan.base.personal import Personal
from pintuan.http.problems import Kind
from pintuan.nouns import NOUNS, PARTS

SOURCES = Path(__file__).parents[2] / "src" / "pintuan"
SHELVES = sorted({noun.partition(".")[0] for noun in NOUNS})
# Who reads another noun's rows without asking its service. The list only gets shorter.
REACHES = {
    "pintuan.cli.activity -> pintuan.people.activity.store",
    "pintuan.cli.fee -> pintuan.money.ledger.store",
    "pintuan.reach.pages.service -> pintuan.money.receipts.store",
    "pintuan.selling.webhooks.courier -> pintuan.selling.sales.store",
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Who imports whom in the application, for type checkers as well."""
    return grimp.build_graph("pintuan")


def noun_of(module: str) -> str | None:
    """The noun a module belongs to; None for what is no noun."""
    noun = ".".join(module.split(".")[1:3])
    return noun if noun in NOUNS else None


def test_every_folder_of_a_shelf_of_nouns_is_in_the_list() -> None:
    folders = {
        f"{shelf}.{folder.name}"
        for shelf in SHELVES
        for folder in (SOURCES / shelf).iterdir()
        if (folder / "__init__.py").exists()
    }

    assert folders == set(NOUNS), "nouns.py lists each folder of a shelf once, below those it stands on"


def test_no_noun_is_listed_twice() -> None:
    assert len(NOUNS) == len(set(NOUNS))


@pytest.mark.parametrize("noun", NOUNS)
def test_every_part_defines_what_is_registered(noun: str) -> None:
    for part, defined in PARTS.items():
        if (SOURCES / noun.replace(".", "/") / f"{part}.py").exists():
            module = import_module(f"pintuan.{noun}.{part}")
            assert hasattr(module, defined), f"{part}.py of {noun} must define {defined}"


def test_every_job_has_a_name_of_its_own_and_is_opened_by_its_noun() -> None:
    jobs = nouns.jobs()
    names = [job.name for noun in jobs for job in noun.declared]

    assert sorted(set(names)) == sorted(names)
    for noun in jobs:
        assert issubclass(noun, NounJobs), f"{noun.__module__}.Jobs must be a NounJobs"
        assert noun.declared, f"{noun.__module__}.Jobs has no method marked with `job`"
        assert "open" in vars(noun), f"{noun.__module__}.Jobs must say how it is opened"


def test_every_noun_keeps_its_state_under_a_type_of_its_own() -> None:
    kinds = [inspect.unwrap(open_state).__annotations__["return"] for open_state in nouns.states()]

    assert kinds, "the hub and the cards are kept so"
    assert sorted(set(kinds)) == sorted(kinds), "handlers ask for it by its type"


def test_a_noun_says_what_it_keeps_about_people_by_its_type() -> None:
    kept = nouns.personal()

    for noun in kept:
        assert isinstance(noun, Personal), f"PERSONAL must be a Personal, and is {noun!r}"
        says = (noun.tables, noun.export, noun.hold, noun.forget, noun.staying)
        assert any(says), f"{noun!r} says nothing; a noun that keeps nothing about people has no personal.py"
        assert not noun.tables or noun.forget or noun.staying, f"nothing forgets people in {noun.tables}"


def test_a_noun_says_what_is_audited_by_its_type() -> None:
    for noun in nouns.audits():
        assert isinstance(noun, Audit), f"AUDIT must be an Audit, and is {noun!r}"
        assert noun.checks or noun.notices, "a noun of which nothing is audited has no audit.py"


def test_a_noun_declares_its_metrics_by_the_name_of_the_product() -> None:
    for metric in nouns.metrics():
        assert isinstance(metric, MetricWrapperBase), f"METRICS must be metrics, and has {metric!r}"
        assert next(iter(metric.describe())).name.startswith("pintuan_")


def test_a_noun_says_how_its_refusals_are_answered() -> None:
    rows = [row for noun in nouns.problems() for row in noun.items()]

    assert rows, "orders refuse"
    for refusal, kind in rows:
        assert issubclass(refusal, Exception), f"{refusal!r} is no exception"
        assert isinstance(kind, Kind), (
            f"{refusal.__name__} must be answered with a Kind, and not with {kind!r}"
        )


def test_every_doorbell_that_is_rung_is_the_name_of_a_job_that_has_one() -> None:
    sources = [*SOURCES.rglob("*.py")]
    rung = {name for source in sources for name in re.findall(r"\.ring\((.*?)\)", source.read_text())}

    assert rung, "services ring for work they made"
    assert rung <= {f'"{name}"' for name in nouns.doorbells()}, (
        "ring for a job that has a doorbell, by its name"
    )


def test_nouns_hear_only_what_nouns_below_them_tell() -> None:
    places = {noun.partition(".")[2]: place for place, noun in enumerate(NOUNS)}
    tellers = {
        event: noun
        for noun in places
        if (module := _part(noun, "events")) is not None
        for event in module.EVENTS
    }

    for listener, reactions in nouns.reactions().items():
        assert reactions.by_type.keys() <= tellers.keys(), f"{listener} hears of what nobody tells"
        above = {event for event in reactions.by_type if places[tellers[event]] >= places[listener]}
        assert above == set(), f"{listener} stands below who tells that"
        if reactions.then is not None:
            assert reactions.then in {job.name for noun in nouns.jobs() for job in noun.declared}


@pytest.mark.parametrize("noun", NOUNS)
def test_no_file_is_meant_for_a_part_and_misnamed(noun: str) -> None:
    stems = {path.stem for path in (SOURCES / noun.replace(".", "/")).glob("*.py")} - set(PARTS)
    meant = {stem: close for stem in stems if (close := get_close_matches(stem, PARTS, n=1, cutoff=0.8))}

    assert meant == {}, f"a file of {noun} is registered under its exact name alone"


def test_every_noun_stands_on_those_above_it_alone(graph: grimp.ImportGraph) -> None:
    places = {noun: place for place, noun in enumerate(NOUNS)}
    upwards = [
        f"{importer} -> {imported}"
        for importer in graph.modules
        if (noun := noun_of(importer)) is not None
        for imported in graph.find_modules_directly_imported_by(importer)
        if (other := noun_of(imported)) is not None and places[other] > places[noun]
    ]

    assert upwards == []


def test_nobody_reaches_into_another_nouns_store(graph: grimp.ImportGraph) -> None:
    reaches = {
        f"{importer} -> {imported}"
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if imported.endswith(".store") and (noun := noun_of(imported)) and noun != noun_of(importer)
    }

    assert reaches == REACHES


def _part(noun: str, part: str) -> ModuleType | None:
    """A part of the noun of this name, if it has one."""
    (name,) = (one for one in NOUNS if one.partition(".")[2] == noun)
    module = f"pintuan.{name}.{part}"
    return import_module(module) if find_spec(module) is not None else None
