"""Bodies that place nothing, by what is wrong with them."""

from __future__ import annotations

import json
from typing import Any

from pintuan.buying.orders.ship_to import BYTES_MAX, NUMBER_MAX, NUMBER_MIN

HUGE = 10**30


def address_of_bytes(count: int) -> dict[str, Any]:
    """An address that is so long as JSON without spaces."""
    empty = json.dumps({"name": "é", "street": ""}, ensure_ascii=False, separators=(",", ":"))
    return {"street": "x" * (count - len(empty.encode())), "name": "é"}


def nested(depth: int) -> str:
    return '{"payment_method": "pm_ok", "ship_to": {"a": ' + "[" * depth + "]" * depth + "}}"


# What is changed of an order that is right (`...` takes a field away), and the field that is named.
MISFITS: list[tuple[dict[str, Any], str]] = [
    ({"quantity": 0}, "quantity"),
    ({"quantity": -1}, "quantity"),
    ({"quantity": 1_000_001}, "quantity"),
    ({"quantity": HUGE}, "quantity"),
    ({"quantity": 1.0}, "quantity"),
    ({"quantity": 1.5}, "quantity"),
    ({"quantity": "1"}, "quantity"),
    ({"quantity": True}, "quantity"),
    ({"quantity": None}, "quantity"),
    ({"quantity": [1]}, "quantity"),
    ({"colour": "red"}, "colour"),
    ({"Quantity": 1}, "Quantity"),
    ({"payment_method": "pm_gold"}, "payment_method"),
    ({"payment_method": "pm_ok:"}, "payment_method"),
    ({"payment_method": "pm_ok\n"}, "payment_method"),
    ({"payment_method": "pm_ok:card 7"}, "payment_method"),
    ({"payment_method": ""}, "payment_method"),
    ({"payment_method": 7}, "payment_method"),
    ({"payment_method": None}, "payment_method"),
    ({"payment_method": "x" * 1000}, "payment_method"),
    ({"payment_method": ...}, "payment_method"),
    ({"invite_code": ""}, "invite_code"),
    ({"invite_code": "abc\n"}, "invite_code"),
    ({"invite_code": "a\0b"}, "invite_code"),
    ({"invite_code": "x" * 65}, "invite_code"),
    ({"offer_id": ""}, "offer_id"),
    ({"offer_id": 7}, "offer_id"),
    ({"offer_id": "x" * 65}, "offer_id"),
    ({"ship_to": []}, "ship_to"),
    ({"ship_to": "Lyon"}, "ship_to"),
    ({"ship_to": {str(n): n for n in range(21)}}, "ship_to"),
    ({"ship_to": {"a": [[[[[1]]]]]}}, "ship_to"),
    ({"ship_to": {"a": {"b": {"c": {"d": {"e": {}}}}}}}, "ship_to"),
    ({"ship_to": address_of_bytes(BYTES_MAX + 1)}, "ship_to"),
    ({"ship_to": {"a": [0] * BYTES_MAX}}, "ship_to"),
    ({"ship_to": {"a": NUMBER_MAX + 1}}, "ship_to"),
    ({"ship_to": {"a": -HUGE}}, "ship_to"),
    ({"ship_to": {"a": 10**400}}, "ship_to"),
    ({"ship_to": {"a": 1e16}}, "ship_to"),
    ({"ship_to": {"a": [1e308]}}, "ship_to"),
    ({"ship_to": {"a": {"b": {"c": {"d": -1e308}}}}}, "ship_to"),
    ({"ship_to": {"a": NUMBER_MIN / 10}}, "ship_to"),
    ({"ship_to": {"a": -5e-324}}, "ship_to"),
    ({"ship_to": {"name": "A\0nn"}}, "body"),
    ({"ship_to": {"na\0me": "Ann"}}, "body"),
]


NO_JSON_OBJECTS = [
    b"",
    b"{",
    b"[]",
    b"[{}]",
    b"null",
    b'"pm_ok"',
    b"1",
    b"\xff\xfe",
    b'{"payment_method": "pm_ok"} x',
    b'{"payment_method": "pm_ok", "ship_to": {"a": NaN}}',
    b'{"payment_method": "pm_ok", "ship_to": {"a": "\xff"}}',
    b'{"payment_method": "pm_ok", "ship_to": {"a": "\\ud800"}}',
    b'{"payment_method": "pm_ok", "ship_to": {"\\udc00": 1}}',
    b'{"payment_method": "pm_\x00ok"}',
    nested(5_000).encode(),
    nested(30_000).encode(),
]
