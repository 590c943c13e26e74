"""The errors that end a scene or the whole show; the tree is drawn in the package's docstring."""

from __future__ import annotations


class DemoError(Exception):
    """The show, or a scene of it, cannot go on; the message is one line."""


class VenueError(DemoError):
    """There is no marketplace to play on, or it cannot be prepared."""


class ShopError(DemoError):
    """The marketplace does not show what it must have."""


class OutOfPlan(DemoError):
    """A scene went another way than its script."""


class ShowTooLong(DemoError):
    """The show was not over in time."""
