"""The sandbox's payment methods: each is a name that says how the pretended bank will behave."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pintuan.base.charging import GatewayRules

if TYPE_CHECKING:
    from pintuan.money.payments.gateway import OperationKind

SLOW_AUTHORISATION_S: Final = 2.0
UNKNOWN_METHOD: Final = "unknown payment method"
# The sandbox writes its books in batches, and hundreds of slow cards still leave room for the others.
CALLS_AT_ONCE_MAX: Final = 1024
# As long as card networks keep most online authorisations.
AUTHORISATION_LIFETIME_MS: Final = 7 * 24 * 3_600_000

_METHOD: Final = re.compile(r"(?P<base>pm_[a-z_]{1,40})(?::(?P<card>[A-Za-z0-9_-]{1,64}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The bank's treatment of a method: its refusals, its delay, and the call whose first answer is lost."""

    authorise_refusal: str | None = None
    capture_refusal: str | None = None
    refund_refusal: str | None = None
    authorise_delay_s: float = 0.0
    loses_first_answer_of: OperationKind | None = None


PAYMENT_METHODS: Final = {
    "pm_ok": Behaviour(),
    "pm_declined": Behaviour(authorise_refusal="the card was declined"),
    "pm_slow": Behaviour(authorise_delay_s=SLOW_AUTHORISATION_S),
    "pm_timeout": Behaviour(loses_first_answer_of="authorise"),
    "pm_capture_fails": Behaviour(capture_refusal="the card refused the capture"),
    "pm_capture_timeout": Behaviour(loses_first_answer_of="capture"),
    "pm_void_timeout": Behaviour(loses_first_answer_of="void"),
    "pm_refund_fails": Behaviour(refund_refusal="the card takes no refunds"),
    "pm_refund_timeout": Behaviour(loses_first_answer_of="refund"),
}
"""Every base method the sandbox knows; a request that names another is `invalid`."""

_UNKNOWN: Final = Behaviour(authorise_refusal=UNKNOWN_METHOD)


def is_known_method(text: str) -> bool:
    """Tells whether `text` is one of PAYMENT_METHODS, alone or with a card identity after a colon."""
    match = _METHOD.fullmatch(text)
    return match is not None and match["base"] in PAYMENT_METHODS


def behaviour_of(payment_method: str) -> Behaviour:
    """Returns how the bank treats the method; one it does not know is declined."""
    match = _METHOD.fullmatch(payment_method)
    return _UNKNOWN if match is None else PAYMENT_METHODS.get(match["base"], _UNKNOWN)


def card_of(payment_method: str, buyer_id: str) -> str:
    """Returns the identity of the card: the one named after the colon, or else the buyer's own."""
    match = _METHOD.fullmatch(payment_method)
    return match["card"] if match is not None and match["card"] else f"of:{buyer_id}"


def _refuse_method(payment_method: str) -> str | None:
    if is_known_method(payment_method):
        return None
    return f"is not a method of the sandbox; it knows {', '.join(sorted(PAYMENT_METHODS))}"


SANDBOX_RULES: Final = GatewayRules(
    name="sandbox",
    authorisation_lifetime_ms=AUTHORISATION_LIFETIME_MS,
    calls_at_once_max=CALLS_AT_ONCE_MAX,
    refuse_method=_refuse_method,
    price_step_minor=lambda _currency: 1,
)
