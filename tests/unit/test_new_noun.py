"""The writer of new nouns takes good names, and every text it has is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.contributing.new_noun import TEMPLATES, NameRefused, write_noun
from pintuan.nouns import NOUNS


def project_in(folder: Path) -> Path:
    """A project that has migrations and, as yet, no shelf."""
    (folder / "sql" / "migrations").mkdir(parents=True)
    (folder / "sql" / "migrations" / "0041_rates.sql").touch()
    return folder


def test_a_noun_has_files_of_its_own_alone(tmp_path: Path) -> None:
    written, steps = write_noun(project_in(tmp_path), "fulfilment/shipments")

    assert all((tmp_path / path).stat().st_size for path in written)
    assert "sql/migrations/0042_shipments.sql" in written
    assert "src/pintuan/fulfilment/__init__.py" in written
    assert any('"fulfilment.shipments"' in step for step in steps)
    assert any("new shelf fulfilment" in step for step in steps)
    assert len(written) == len(list(TEMPLATES.iterdir())), "a template is left over"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fulfilment/gift_cards", "A gift card is"),
        ("fulfilment/deliveries", "A delivery is"),
        ("fulfilment/tax", "A tax is"),
        ("fulfilment/errands", "An errand is"),
    ],
)
def test_texts_speak_of_one_in_the_singular(tmp_path: Path, name: str, text: str) -> None:
    write_noun(project_in(tmp_path), name)

    assert text in (tmp_path / "src" / "pintuan" / name / "README.md").read_text()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "must be a shelf and a noun"),
        ("shipments", "must be a shelf and a noun"),
        ("fulfilment/Shipments", "must be a shelf and a noun"),
        ("../shipments", "must be a shelf and a noun"),
        ("logistics/shipments", "must begin with a shelf: buying, fulfilment"),
        (f"fulfilment/{NOUNS[0].partition('.')[2]}", "must be new"),
    ],
)
def test_a_name_of_no_noun_is_refused_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(NameRefused, match=reason):
        write_noun(project_in(tmp_path), name)

    assert not (tmp_path / "src").exists()
