"""The HTML report of a run of the load kit."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec

from benchmarks.report import render_report
from benchmarks.result import Chart, Series, measured, reported
from tests.unit.benchmarks.sample import broken_report, sample_report

VOID = {"meta", "link", "br", "img", "hr", "input"}
HEADING = re.compile(r"<h2 id=\"(\w+)\">")


class Balance(HTMLParser):
    """Notes every element that is not closed by its own end tag, and every address."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.mismatched: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Closes itself."""

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.mismatched.append(tag)


def read(html: str) -> Balance:
    balance = Balance()
    balance.feed(html)
    balance.close()
    return balance


def test_the_report_is_well_formed() -> None:
    page = read(render_report(sample_report()))

    assert not page.mismatched
    assert not page.open


def test_the_report_asks_no_other_host_for_anything() -> None:
    html = render_report(sample_report())
    page = read(html)

    assert page.addresses
    assert all(address.startswith("#") for address in page.addresses)
    assert "url(" not in html
    assert "@import" not in html
    assert "<script" not in html


def test_every_link_within_the_report_leads_somewhere() -> None:
    html = render_report(sample_report())

    assert {address[1:] for address in read(html).addresses} <= set(HEADING.findall(html))


def test_the_report_shows_goals_figures_latencies_charts_notes_and_the_machine() -> None:
    html = render_report(sample_report())

    for text in (
        "API CPU per join ÷ hello",
        "≤ 0.7",
        "holds",
        "missed",
        "reported",
        "151",
        "joins at half of the saturation rate",
        "14.2 ms",
        "Headcount over time",
        "The generator had a core of its own.",
        "Some processor",
        "8.0 GiB",
        "PINTUAN_LOG_LEVEL",
        "1 of 2 goals hold",
        "1 min 2 s",
    ):
        assert text in html, text
    # A curve of latencies, a line chart and a bar chart.
    assert html.count('<svg class="chart"') == 3


def test_a_run_that_broke_an_invariant_says_so_first() -> None:
    html = render_report(broken_report())

    assert "This run failed" in html
    assert "grp_1: 11" in html
    assert "found every invariant kept" not in html


def test_a_quick_run_warns_of_its_figures() -> None:
    report = sample_report()

    assert "quick run" not in render_report(report)
    assert "quick run" in render_report(msgspec.structs.replace(report, quick=True))


def test_a_busy_machine_is_told_of() -> None:
    report = sample_report()
    busy = msgspec.structs.replace(report, machine=msgspec.structs.replace(report.machine, load_1m=1.5))

    assert "not idle" not in render_report(report)
    assert "not idle" in render_report(busy)


def test_what_names_hold_is_text_and_never_markup() -> None:
    report = sample_report()
    evil = "<b>&'\""
    chart = Chart(evil, "bar", evil, evil, (Series(evil, (evil,), (1.0,)), Series("b", (evil,), (2.0,))))
    scenario = msgspec.structs.replace(
        report.scenarios[0], title=evil, charts=(chart,), goals=(reported("x", evil, measured(evil, (1.0,))),)
    )

    html = render_report(msgspec.structs.replace(report, scenarios=(scenario,), goals=scenario.goals))

    assert "<b>" not in html
    assert not read(html).mismatched
