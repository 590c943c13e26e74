"""`pintuan doctor`: what is wrong with this installation, and how to mend it."""

from __future__ import annotations

import asyncio

import click
import msgspec

from pintuan.diagnosis import Finding, Status, diagnose
from pintuan.settings import SettingDoc, SettingsError, load_settings

COLOURS: dict[Status, str] = {"ok": "green", "warn": "yellow", "FAIL": "red"}
SUBJECT_WIDTH = 28


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Say what is wrong with this installation and how to mend it; exit 1 if something is."""
    try:
        settings = load_settings()
    except SettingsError as error:
        described: list[SettingDoc] = []
        findings = [Finding("settings", "FAIL", str(error), f"change {error.variable}, or leave it out")]
    else:
        described = settings.describe()
        findings = [Finding("settings", "ok", "valid"), *asyncio.run(diagnose(settings))]
    healthy = all(finding.status != "FAIL" for finding in findings)
    if as_json:
        report = {"healthy": healthy, "settings": described, "findings": findings}
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
    else:
        _show(described, findings)
    context.exit(0 if healthy else 1)


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
