"""The meaning of Stripe's errors for a call (docs.stripe.com/error-codes, docs.stripe.com/error-low-level).

402, a card error                        Declined
400, 404                                 Declined: Stripe keeps the answer under the key, so repeating is vain
400, 404 of a payment that is missing    GatewayUnavailable: the key in use may be another account's
400, type idempotency_error              KeyMisused
409, key in use                          GatewayTimeout: the first attempt is still under way
429, also lock_timeout                   GatewayUnavailable: limits and locks come before any effect
401, 403                                 GatewayUnavailable, and an operator is told
5xx and the rest                         GatewayTimeout: Stripe calls these results indeterminate
"""

from __future__ import annotations

from typing import Final

import stripe
import structlog

from pintuan.money.payments.gateway import (
    Declined,
    GatewayTimeout,
    GatewayUnavailable,
    KeyMisused,
    PaymentMissing,
)

# The refusals an operation may meet when all is well here; others hint at a fault of ours.
_EXPECTED_REFUSALS: Final = frozenset(
    {
        "amount_too_large",
        "amount_too_small",
        "capture_charge_authorization_expired",
        "charge_already_captured",
        "charge_already_refunded",
        "charge_disputed",
        "charge_exceeds_source_limit",
        "charge_expired_for_capture",
        "payment_intent_unexpected_state",
        "payment_method_unactivated",
        "payment_method_unexpected_state",
        "resource_missing",
    }
)
_PAYMENT_PARAMETERS: Final = frozenset({"intent", "payment_intent"})
_FAULTS: Final = 500
# Tells an answer that is repeated from one that was made now (docs.stripe.com/error-low-level).
_REPLAYED_HEADER: Final = "idempotent-replayed"
_STATES: Final = {"succeeded": "captured", "canceled": "voided", "requires_payment_method": "declined"}

_logger = structlog.get_logger("pintuan.money.payments")


class KeySpent(GatewayTimeout):
    """Stripe keeps a fault of its own under the key, and the outcome of the call is to be read in
    its books.
    """


def refusal_of(error: stripe.StripeError, *, reference: str, idempotency_key: str) -> Declined:
    """Returns the refusal that the error is.

    Raises:
        GatewayError: the error is no final answer; which one it means, the module says.
    """
    code = _code_of(error)
    match error:
        case stripe.CardError():
            return Declined(_reason_of(error, code))
        case stripe.IdempotencyError() if code != "idempotency_key_in_use":
            raise KeyMisused(idempotency_key) from error
        case stripe.RateLimitError():
            raise GatewayUnavailable(f"Stripe took no call just now: {error}") from error
        case stripe.AuthenticationError() | stripe.PermissionError():
            _logger.error("stripe refuses the secret key", error=str(error), order_id=reference)
            raise GatewayUnavailable(f"Stripe refuses the secret key: {error}") from error
        case stripe.InvalidRequestError() if (
            code == "resource_missing" and error.param in _PAYMENT_PARAMETERS
        ):
            _logger.error("stripe misses a payment", error=str(error), order_id=reference)
            raise PaymentMissing(reference) from error
        case stripe.InvalidRequestError():
            if code not in _EXPECTED_REFUSALS:
                _logger.error("stripe refused a request", error=str(error), order_id=reference)
            return Declined(_reason_of(error, code))
        case _ if error.http_status is not None and error.http_status >= _FAULTS and _is_replayed(error):
            raise KeySpent(f"Stripe keeps a fault under the key: {error!r}") from error
        case _:
            raise GatewayTimeout(f"Stripe's answer leaves it open: {error!r}") from error


def _reason_of(error: stripe.StripeError, code: str | None) -> str:
    found = error.error
    if code == "payment_intent_unexpected_state" and found is not None and found.payment_intent is not None:
        status = found.payment_intent.status
        return f"the payment is already {_STATES.get(status, status)}"
    decline = found.decline_code if found is not None and isinstance(error, stripe.CardError) else None
    return f"{decline or code or 'refused'}: {error.user_message}"


def _code_of(error: stripe.StripeError) -> str | None:
    return error.error.code if error.error is not None else error.code


def _is_replayed(error: stripe.StripeError) -> bool:
    return (error.headers or {}).get(_REPLAYED_HEADER) == "true"
