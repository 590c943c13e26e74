"""Tests that schemathesis makes of one function, each of which is to be told from the others."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the operation into a test's id, where schemathesis leaves it out: xdist runs each id once."""
    for item in items:
        if item.parent is not None and item.name.endswith("]") and not item.nodeid.endswith("]"):
            item._id = type(item.id).parse(f"{item.parent.nodeid}::{item.name}")
