"""The part `webhooks` of the document (OpenAPI 3.1): what is posted to merchants' endpoints."""

from __future__ import annotations

from typing import Any, Final, get_args

from pintuan.buying.groups import events as group_events
from pintuan.buying.orders import events as order_events
from pintuan.http.documentation.bodies import JSON, REF
from pintuan.selling.sales.schemas import Sale, SoldGroup
from pintuan.selling.webhooks.schemas import EventType

_SUMMARIES: Final[dict[str, str]] = dict([*group_events.EVENTS.items(), *order_events.EVENTS.items()])
_HEADERS: Final = {
    "webhook-id": "Names the event; the same whenever it is sent again.",
    "webhook-timestamp": "When this attempt was signed, in Unix seconds.",
    "webhook-signature": "One `v1,<base64>` for each live secret, separated by spaces (Standard Webhooks).",
}


def describe_webhooks() -> dict[str, Any]:
    """Returns an operation for each type; the components it refers to are those of the merchants' calls."""
    return {type_: {"post": _operation(type_)} for type_ in get_args(EventType)}


def message_schema(type_: EventType) -> dict[str, Any]:
    """Returns what the body of a message of this type looks like."""
    data = Sale if type_.startswith("order.") else SoldGroup
    return {
        "type": "object",
        "properties": {
            "type": {"type": "string", "const": type_, "description": "What happened."},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
            "data": {"$ref": REF.format(name=data.__name__)},
        },
        "required": ["type", "timestamp", "data"],
    }


def _operation(type_: EventType) -> dict[str, Any]:
    return {
        "operationId": f"receive_{type_.replace('.', '_')}",
        "summary": _SUMMARIES[type_],
        "tags": ["webhook events"],
        # Nobody signs in to a merchant's endpoint; the signature says who calls.
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": description,
                "schema": {"type": "string"},
            }
            for name, description in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {JSON: {"schema": message_schema(type_)}}},
        "responses": {"2XX": {"description": "Taken; anything else is tried again, but 410 ends it."}},
    }
