"""What ends a scene or the whole show; the tree is drawn in the package's docstring."""

from __future__ import annotations


class DemoError(Exception):
    """The show, or a scene of it, cannot go on; the message is one line."""


class VenueError(DemoError):
    """There is no marketplace to play on, or it cannot be prepared."""


class ShopError(DemoError):
    """The marketplace did not answer in time, or answered against its contract."""


class OutOfPlan(DemoError):
    """A scene went another way than its script."""


class ShowTooLong(DemoError):
    """The show was not over in time."""


class Refusal(Exception):
    """A call was refused with the problem code `code`; `detail` is the sentence that came with it."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
