"""`pintuan doctor`: what is wrong with this installation, and how to mend it."""

from __future__ import annotations

import asyncio

import click
import msgspec

from pintuan.base.settings.settings import SettingDoc, SettingsError, read_settings
from pintuan.running.diagnosis import diagnose, judge_settings
from pintuan.running.finding import Finding, Status

COLOURS: dict[Status, str] = {"ok": "green", "warn": "yellow", "FAIL": "red"}
SUBJECT_WIDTH = 28


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Say what is wrong with this installation and how to mend it; exit 1 if something is."""
    described, findings = asyncio.run(_examine())
    healthy = all(finding.status != "FAIL" for finding in findings)
    if as_json:
        report = {"healthy": healthy, "settings": described, "findings": findings}
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
    else:
        _show(described, findings)
    context.exit(0 if healthy else 1)


async def _examine() -> tuple[list[SettingDoc], list[Finding]]:
    """Returns the settings that can be used, and what was found; servers only where all settings can be."""
    try:
        reading = read_settings()
    except SettingsError as error:
        return [], [Finding("settings", "FAIL", str(error), f"mend {error.variable}")]
    bad = {error.variable for error in reading.errors}
    described = [setting for setting in reading.settings.describe() if setting.variable not in bad]
    findings = judge_settings(reading)
    if not bad:
        findings += await diagnose(reading.settings)
    return described, findings


def _show(described: list[SettingDoc], findings: list[Finding]) -> None:
    for setting in described:
        origin = "" if setting.value_shown != setting.default else " (default)"
        click.echo(f"{setting.variable:<{SUBJECT_WIDTH}} {setting.value_shown}{origin}")
        click.echo(click.style(f"{'':<{SUBJECT_WIDTH}} {setting.why}", dim=True))
    click.echo()
    for finding in findings:
        status = click.style(f"{finding.status:<4}", fg=COLOURS[finding.status])
        click.echo(f"{status} {finding.subject:<{SUBJECT_WIDTH}} {finding.detail}")
        if finding.remedy:
            click.echo(f"     {'':<{SUBJECT_WIDTH}} → {finding.remedy}")
