"""The books of one pretended account of Stripe: PaymentIntents and refunds as its API shows and changes them.

Shapes and codes follow docs.stripe.com/api (PaymentIntents, Refunds, Errors, Events) at the version that
`pintuan.money.payments.stripe.gateway` pins. What a card does,
its payment method says, by Stripe's own test names.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

API_VERSION: Final = "2026-10-28.endive"
LIFETIME_S: Final = 7 * 24 * 3600
CREATED_S: Final = 1_800_000_000

DECLINES: Final = {
    "pm_card_visa_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", None),
}
CONFIRMED_BY_BUYER: Final = "pm_card_authenticationRequired"
REFUNDS_FAIL: Final = "pm_card_refundFail"
CARDS: Final = frozenset({"pm_card_visa", CONFIRMED_BY_BUYER, REFUNDS_FAIL, *DECLINES})

Form: TypeAlias = dict[str, str]
Body: TypeAlias = dict[str, Any]


class Refused(Exception):
    """An error object with its status."""

    def __init__(self, status: int, type_: str, message: str, code: str | None = None, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        error = {"type": type_, "message": message} | ({"code": code} if code else {})
        self.body: Body = {"error": error | more}


@dataclass
class StripeBooks:
    """Everything the account has, and the events that tell of it in the order it happened."""

    intents: dict[str, Body] = field(default_factory=dict)
    refunds: dict[str, Body] = field(default_factory=dict)
    events: list[Body] = field(default_factory=list)
    # Whether search is behind what was written, as it may be for an hour.
    index_lags: bool = False
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def intent_of(self, order_id: str) -> Body:
        """The one PaymentIntent of an order."""
        (found,) = [one for one in self.intents.values() if one["metadata"].get("pintuan_order") == order_id]
        return found

    def cancel_by_itself(self, order_id: str) -> Body:
        """What Stripe does when an authorisation expires; returns the event."""
        intent = self.intent_of(order_id)
        intent.update(status="canceled", amount_capturable=0, cancellation_reason="automatic")
        return self._tell("payment_intent.canceled", intent)

    def refund_by_hand(self, order_id: str, amount: int) -> Body:
        """What somebody does in the dashboard; returns the event."""
        return self._make_refund(self.intent_of(order_id), amount, {})

    def fail_refund(self, refund_reference: str) -> Body:
        """What a bank does days later; returns the event."""
        (refund,) = [
            one for one in self.refunds.values() if one["metadata"].get("pintuan_refund") == refund_reference
        ]
        refund.update(status="failed", failure_reason="expired_or_canceled_card")
        return self._tell("refund.failed", refund)

    def dispute(self, order_id: str) -> Body:
        """What a buyer does at their bank; returns the event."""
        intent = self.intent_of(order_id)
        return self._tell(
            "charge.dispute.created",
            {
                "id": self._id("du"),
                "object": "dispute",
                "amount": intent["amount_received"],
                "currency": intent["currency"],
                "charge": intent["latest_charge"],
                "payment_intent": intent["id"],
                "reason": "fraudulent",
                "status": "needs_response",
                "metadata": {},
            },
        )

    def read(self, path: str, form: Form) -> Body:
        """Answers a GET."""
        match path.strip("/").split("/"):
            case ["v1", "payment_intents", "search"]:
                field_, _, wanted = form["query"].partition(":")
                name = field_.removeprefix("metadata['").removesuffix("']")
                found = [
                    one for one in self.intents.values() if one["metadata"].get(name) == wanted.strip("'")
                ]
                shown = [_expanded(one, form, "data.latest_charge") for one in found]
                return _page("search_result", [] if self.index_lags else shown)
            case ["v1", "payment_intents", intent_id]:
                return _expanded(self._intent(intent_id), form, "latest_charge")
            case ["v1", "refunds"]:
                of_intent = [
                    one for one in self.refunds.values() if one["payment_intent"] == form["payment_intent"]
                ]
                return _page("list", of_intent[::-1])
            case _:
                raise Refused(404, "invalid_request_error", f"Unrecognized request URL (GET: {path}).")

    def write(self, path: str, form: Form) -> Body:
        """Carries out a POST."""
        match path.strip("/").split("/"):
            case ["v1", "payment_intents"]:
                return self._create(form)
            case ["v1", "payment_intents", intent_id, "capture"]:
                return self._capture(self._intent(intent_id), form)
            case ["v1", "payment_intents", intent_id, "cancel"]:
                return self._cancel(self._intent(intent_id))
            case ["v1", "refunds"]:
                return self._refund(form)
            case _:
                raise Refused(404, "invalid_request_error", f"Unrecognized request URL (POST: {path}).")

    def _intent(self, intent_id: str) -> Body:
        try:
            return self.intents[intent_id]
        except KeyError:
            message = f"No such payment_intent: '{intent_id}'"
            raise Refused(404, "invalid_request_error", message, "resource_missing", param="intent") from None

    def _create(self, form: Form) -> Body:
        if "payment_method_types[0]" in form:
            code = "payment_method_types_no_longer_supported"
            raise Refused(400, "invalid_request_error", "No longer supported.", code)
        method = form["payment_method"]
        if method.partition(":")[0] not in CARDS:
            message = f"No such PaymentMethod: '{method}'"
            raise Refused(400, "invalid_request_error", message, "resource_missing", param="payment_method")
        assert (form["capture_method"], form["confirm"]) == ("manual", "true")
        assert form["allowed_payment_method_types[0]"] == "card"
        intent: Body = {
            "id": self._id("pi"),
            "object": "payment_intent",
            "amount": int(form["amount"]),
            "amount_capturable": 0,
            "amount_received": 0,
            "cancellation_reason": None,
            "capture_method": "manual",
            "created": CREATED_S,
            "currency": form["currency"],
            "last_payment_error": None,
            "latest_charge": self._id("ch"),
            "livemode": False,
            "metadata": _metadata_of(form),
            "payment_method": method,
            "payment_method_types": ["card"],
            "status": "requires_payment_method",
        }
        self.intents[intent["id"]] = intent
        if method in DECLINES:
            return self._decline(intent, *DECLINES[method])
        if method == CONFIRMED_BY_BUYER:
            intent.update(status="requires_action", next_action={"type": "use_stripe_sdk"})
            return intent
        intent.update(status="requires_capture", amount_capturable=intent["amount"])
        self._tell("payment_intent.amount_capturable_updated", intent)
        return intent | {"latest_charge": _charge_of(intent)}

    def _decline(self, intent: Body, code: str, decline_code: str | None) -> Body:
        more = {} if decline_code is None else {"decline_code": decline_code}
        self._tell("payment_intent.payment_failed", intent)
        raise Refused(402, "card_error", "Your card was declined.", code, payment_intent=intent, **more)

    def _capture(self, intent: Body, form: Form) -> Body:
        _require_state(intent, "captured", "requires_capture")
        amount = int(form["amount_to_capture"])
        if amount > intent["amount_capturable"]:
            message = "The amount to capture is larger than the remaining amount you can capture."
            raise Refused(
                400, "invalid_request_error", message, "amount_too_large", param="amount_to_capture"
            )
        intent.update(status="succeeded", amount_received=amount, amount_capturable=0)
        self._tell("payment_intent.succeeded", intent)
        return intent

    def _cancel(self, intent: Body) -> Body:
        _require_state(intent, "canceled", "requires_capture", "requires_payment_method", "requires_action")
        intent.update(status="canceled", amount_capturable=0)
        self._tell("payment_intent.canceled", intent)
        return intent

    def _refund(self, form: Form) -> Body:
        intent = self._intent(form["payment_intent"])
        if intent["status"] != "succeeded":
            message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
            raise Refused(400, "invalid_request_error", message, param="payment_intent_data")
        left = intent["amount_received"] - self._refunded_of(intent)
        if left == 0:
            message = f"Charge {intent['latest_charge']} has already been refunded."
            raise Refused(400, "invalid_request_error", message, "charge_already_refunded")
        if int(form["amount"]) > left:
            message = "Refund amount is greater than unrefunded amount on charge."
            raise Refused(400, "invalid_request_error", message, param="amount")
        event = self._make_refund(intent, int(form["amount"]), _metadata_of(form))
        refund: Body = event["data"]["object"]
        return self.refunds[refund["id"]]

    def _make_refund(self, intent: Body, amount: int, metadata: dict[str, str]) -> Body:
        failed = intent["payment_method"] == REFUNDS_FAIL
        refund: Body = {
            "id": self._id("re"),
            "object": "refund",
            "amount": amount,
            "charge": intent["latest_charge"],
            "created": CREATED_S,
            "currency": intent["currency"],
            "failure_reason": "expired_or_canceled_card" if failed else None,
            "metadata": metadata,
            "payment_intent": intent["id"],
            "reason": None,
            "status": "failed" if failed else "succeeded",
        }
        self.refunds[refund["id"]] = refund
        return self._tell("refund.created", refund)

    def _refunded_of(self, intent: Body) -> int:
        return sum(
            refund["amount"]
            for refund in self.refunds.values()
            if refund["payment_intent"] == intent["id"] and refund["status"] in ("succeeded", "pending")
        )

    def _tell(self, type_: str, thing: Body) -> Body:
        event: Body = {
            "id": self._id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": CREATED_S,
            "data": {"object": json.loads(json.dumps(thing))},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": type_,
        }
        self.events.append(event)
        return event

    def _id(self, prefix: str) -> str:
        return f"{prefix}_local{next(self._numbers):06d}"


def _require_state(intent: Body, verb: str, *states: str) -> None:
    if intent["status"] not in states:
        message = (
            f"This PaymentIntent could not be {verb} because it has a status of {intent['status']}. Only a "
            f"PaymentIntent with one of the following statuses may be {verb}: {', '.join(states)}."
        )
        code = "payment_intent_unexpected_state"
        raise Refused(400, "invalid_request_error", message, code, payment_intent=intent)


def _expanded(intent: Body, form: Form, what: str) -> Body:
    """The intent with its charge in it, where that is asked for."""
    return intent | {"latest_charge": _charge_of(intent)} if form.get("expand[0]") == what else intent


def _charge_of(intent: Body) -> Body:
    # Everybody has a card of their own, unless the method names one behind a colon.
    fingerprint = intent["payment_method"].partition(":")[2] or f"of:{intent['id']}"
    card = {"brand": "visa", "capture_before": CREATED_S + LIFETIME_S, "fingerprint": fingerprint}
    details = {"type": "card", "card": card}
    return {
        "id": intent["latest_charge"],
        "object": "charge",
        "amount": intent["amount"],
        "payment_method_details": details,
    }


def _metadata_of(form: Form) -> dict[str, str]:
    return {
        name.removeprefix("metadata[").removesuffix("]"): value
        for name, value in form.items()
        if name.startswith("metadata[")
    }


def _page(object_: str, data: list[Body]) -> Body:
    return {"object": object_, "data": data, "has_more": False, "url": "/v1"}
