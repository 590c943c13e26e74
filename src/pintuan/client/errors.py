"""The errors a call can end with.

ClientError
├── ProblemError    the marketplace refused, and says why in a problem document (RFC 9457)
├── NoAnswer        no answer came, even at the last try; a call that changes something may have done so
└── BadAnswer       what came is not what the contract says, so it is another server, or another version
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pintuan.base.errors import FieldError


class ClientError(Exception):
    """Base of everything a call raises."""


class ProblemError(ClientError):
    """A refusal. `code` is what a program decides by; `retry_after_s` is set where waiting helps."""

    def __init__(
        self,
        code: str,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        retry_after_s: int | None = None,
        order_id: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{code} ({status}): {detail}")
        self.code = code
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.retry_after_s = retry_after_s
        self.order_id = order_id
        self.request_id = request_id


class NoAnswer(ClientError):
    """No answer came to `call`, such as `POST /v1/deals`, in `tries` tries."""

    def __init__(self, call: str, tries: int, reason: str) -> None:
        super().__init__(f"{call} had no answer in {tries} {'try' if tries == 1 else 'tries'}: {reason}")
        self.call = call
        self.tries = tries
        self.reason = reason


class BadAnswer(ClientError):
    """The answer to `call` is not what the contract says; `status` is its HTTP status."""

    def __init__(self, call: str, status: int, reason: str) -> None:
        super().__init__(f"{call} answered {status} against the contract: {reason}")
        self.call = call
        self.status = status
        self.reason = reason
