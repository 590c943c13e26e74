"""Reads forms: `application/x-www-form-urlencoded`, each field once, checked like any other input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

import msgspec

from pintuan.base.errors import InvalidInput, UnsupportedMediaType
from pintuan.buying.orders.schemas import NewOrder
from pintuan.people.contacts import typed

if TYPE_CHECKING:
    from pintuan.http.bodies import ApiRequest

FIELD_COUNT_MAX: Final = 16
_FORM_TYPE: Final = "application/x-www-form-urlencoded"


async def read_form(request: ApiRequest) -> dict[str, str]:
    """Returns a form's fields, stripped of surrounding spaces.

    Raises:
        UnsupportedMediaType: the body is no form.
        InvalidInput: it has too many fields, or one of them holds a NUL character.
        ClientGone: the client hung up in the middle.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM_TYPE:
        raise UnsupportedMediaType("The body must be a form.")
    text = (await request.body()).decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELD_COUNT_MAX)
    except ValueError as error:
        raise InvalidInput.of("body", f"has more than {FIELD_COUNT_MAX} fields") from error
    if "\0" in text or any("\0" in value for _, value in pairs):
        raise InvalidInput.of("body", "holds a NUL character")
    return {name: value.strip() for name, value in pairs}


def order_in(form: dict[str, str], invite_code: str | None) -> NewOrder:
    """Returns the order a form places.

    Raises:
        InvalidInput: the quantity is no number, or a field does not fit.
    """
    quantity = typed.number(form.get("quantity", "")) or "1"
    if not quantity.isdecimal():
        raise InvalidInput.of("quantity", "is not a number")
    fields = {
        "quantity": int(quantity[:_QUANTITY_DIGITS_MAX]),
        "payment_method": form.get("payment_method", ""),
        "invite_code": invite_code,
    }
    try:
        return msgspec.convert(fields, NewOrder)
    except msgspec.ValidationError as error:
        raise InvalidInput.of("quantity", str(error)) from error


# Longer ones are beyond any limit, whichever digits follow.
_QUANTITY_DIGITS_MAX: Final = 12
