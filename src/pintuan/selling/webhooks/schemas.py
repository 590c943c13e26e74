"""Webhook endpoints and their log on the wire, and what is sent to them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pintuan.base.outgoing.addresses import URL_CHARS_MAX
from pintuan.base.wire.patterns import LINE_OR_NOTHING_PATTERN
from pintuan.base.wire.times import Instant, moment
from pintuan.buying.groups.events import GroupEvent
from pintuan.buying.orders.events import OrderEvent
from pintuan.selling.sales.schemas import Sale, SoldGroup
from pintuan.selling.webhooks.limits import DESCRIPTION_CHARS_MAX, REPLAYED_PER_CALL_MAX

# A merchant's system may hear whatever is told; `ping` is sent for a test.
EventType: TypeAlias = Literal[GroupEvent, OrderEvent]
SentType: TypeAlias = Literal[EventType, "ping"]
EndpointStatus = Literal["enabled", "paused", "disabled"]
DeliveryStatus = Literal["pending", "delivered", "failed"]

_ID = "whe_019a2b3c4d5e6f708192a3b4c5d6e7f8"
_URL = "https://hooks.example.com/pintuan"
_SECRET = "whsec_" + "A" * 42 + "8="
_TYPES: list[EventType] = ["order.captured", "order.refunded"]

Url: TypeAlias = Annotated[str, Meta(min_length=1, max_length=URL_CHARS_MAX)]
Events: TypeAlias = Annotated[list[EventType], Meta(min_length=1, max_length=9)]
Description: TypeAlias = Annotated[
    str, Meta(max_length=DESCRIPTION_CHARS_MAX, pattern=LINE_OR_NOTHING_PATTERN)
]


def _url() -> Meta:
    return Meta(description="Where events are posted: https, on port 443 or above 1023.", examples=[_URL])


def _events() -> Meta:
    return Meta(description="The types it is told of; null for all, later ones included.", examples=[_TYPES])


def _description() -> Meta:
    return Meta(description="Tells the merchant what it is for.", examples=["fulfilment"])


def _type() -> Meta:
    return Meta(description="What happened.", examples=["order.captured"])


class NewWebhookEndpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An endpoint to be made."""

    url: Annotated[Url, _url()]
    events: Annotated[Events | None, _events()] = None
    description: Annotated[Description, _description()] = ""


class WebhookEndpointChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The changes to an endpoint; fields left out stay."""

    url: Annotated[Url | UnsetType, _url()] = UNSET
    events: Annotated[Events | UnsetType | None, _events()] = UNSET
    description: Annotated[Description | UnsetType, _description()] = UNSET
    enabled: Annotated[
        bool | UnsetType,
        Meta(
            description="False disables it. True enables it again, and what waited for it is sent.",
            examples=[True],
        ),
    ] = UNSET


class WebhookEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a merchant's own system is told of events."""

    id: Annotated[str, Meta(description="Names the endpoint.", examples=[_ID])]
    url: Annotated[str, _url()]
    description: Annotated[str, _description()]
    events: Annotated[list[EventType] | None, _events()]
    status: Annotated[
        EndpointStatus,
        Meta(
            description="`paused` after failing for days: events wait until it is enabled again. `disabled` "
            "by its merchant, or by its own answer 410: events are not kept for it.",
            examples=["enabled"],
        ),
    ]
    notice: Annotated[
        str | None, Meta(description="Why we paused or disabled it.", examples=["the endpoint answered 410"])
    ]
    paused_at: Annotated[datetime | None, moment("When it was paused.")]
    failing_since: Annotated[datetime | None, moment("Since when every attempt has failed.")]
    created_at: Annotated[datetime, moment("When it was made.")]
    updated_at: Annotated[datetime, moment("When it was changed last.")]


class MadeWebhookEndpoint(WebhookEndpoint, frozen=True, kw_only=True):
    """An endpoint that was just made, with its secret."""

    secret: Annotated[
        str, Meta(description="Verifies what we send, shown this once; keep it safe.", examples=[_SECRET])
    ]


class RotatedSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A new secret; until the former one ends, every message carries a signature of both."""

    secret: Annotated[str, Meta(description="The new secret, shown this once.", examples=[_SECRET])]
    former_ends_at: Annotated[datetime, moment("When the former secret stops signing.")]


class WebhookDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one endpoint."""

    id: Annotated[str, Meta(description="Names the delivery.", examples=["whd_0192f0c1a2b3"])]
    event_id: Annotated[
        str,
        Meta(description="Sent as `webhook-id`; the same in each attempt.", examples=["evt_0192f0c1a2b3"]),
    ]
    event_type: Annotated[SentType, _type()]
    object_id: Annotated[
        str, Meta(description="The order or group it tells of.", examples=["ord_0192f0c1a2b3"])
    ]
    status: Annotated[
        DeliveryStatus,
        Meta(description="`failed` when no further attempt is made.", examples=["delivered"]),
    ]
    attempts: Annotated[int, Meta(description="Attempts so far, since the last replay.", examples=[1])]
    status_code: Annotated[int | None, Meta(description="HTTP status of the last answer.", examples=[200])]
    error: Annotated[
        str | None, Meta(description="Why the last attempt failed.", examples=["no answer in time"])
    ]
    next_attempt_at: Annotated[datetime | None, moment("When it is tried next.")]
    last_attempt_at: Annotated[datetime | None, moment("When it was tried last.")]
    created_at: Annotated[datetime, moment("When it was made.")]
    ended_at: Annotated[datetime | None, moment("When it was delivered, or failed for good.")]


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which events to deliver again."""

    created_from: Annotated[Instant, moment("Events of this time or later; kept for 30 days.")]
    created_to: Annotated[Instant | None, moment("Events before this time; up to now if absent.")] = None


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """The count of deliveries that a replay made due."""

    replayed: Annotated[
        int,
        Meta(
            description=f"Events that this call made due, about {REPLAYED_PER_CALL_MAX} at most.",
            examples=[3],
        ),
    ]
    continue_from: Annotated[
        datetime | None, moment("The `created_from` of the next call; null when all are under way.")
    ]


class Pinged(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a test: only the address it went to."""

    endpoint_id: Annotated[str, Meta(description="The endpoint that is tested.", examples=[_ID])]


class WebhookMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a delivery."""

    type: Annotated[SentType, _type()]
    timestamp: Annotated[datetime, moment("When it happened.")]
    data: Annotated[
        Sale | SoldGroup | Pinged, Meta(description="The order or group, as it is when the message is sent.")
    ]
