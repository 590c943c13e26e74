"""`pintuan bench`, which hands over to the load kit."""

from __future__ import annotations

import os
import re
import sys

import pytest
from click.testing import CliRunner

from pintuan.cli import bench, main
from tests.documents import PROJECT

IMPORT = re.compile(r"^\s*(?:from|import) benchmarks\b", re.MULTILINE)


def test_the_kit_takes_over_with_all_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda path, arguments: calls.append((path, arguments)))

    CliRunner().invoke(main, ["bench", "flash", "links", "--runs", "2", "--quick", "--out", "figures"])

    kit = [sys.executable, "-m", "benchmarks"]
    assert calls == [(sys.executable, [*kit, "--runs", "2", "--out", "figures", "--quick", "flash", "links"])]


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "NEEDED", ("psutil", "no_such_module"))

    result = CliRunner().invoke(main, ["bench", "flash"])

    assert result.exit_code == 1
    assert "needs no_such_module" in result.output
    assert "pip install 'pintuan[bench]'" in result.output


def test_an_installation_without_the_kit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "KIT", "no_such_module")

    result = CliRunner().invoke(main, ["bench", "flash"])

    assert result.exit_code == 1
    assert "has no load kit" in result.output


def test_the_application_never_imports_the_kit() -> None:
    packages = (PROJECT / name for name in ("src", "groups", "pricing", "sql", "workers"))
    sources = [path for package in packages for path in package.rglob("*.py")]

    assert len(sources) > 100
    assert [path for path in sources if IMPORT.search(path.read_text(encoding="utf-8"))] == []
