"""A route names codes of the table of problems, and no others."""

from __future__ import annotations

import pytest
from litestar import get

from pintuan.http.documentation.codes import codes_of, problem_codes


@get("/v1/dinner", opt=problem_codes("eaten"), sync_to_thread=False)
def dinner() -> None:
    """Names a code that no exception has."""


@get("/v1/lunch", opt=problem_codes("not_found"), sync_to_thread=False)
def lunch() -> None:
    """Names one that some have."""


def test_a_route_that_names_an_unknown_code_is_not_documented() -> None:
    with pytest.raises(ValueError, match="eaten"):
        codes_of(dinner, {})


def test_a_route_may_answer_with_the_codes_it_names() -> None:
    assert "not_found" in codes_of(lunch, {})
