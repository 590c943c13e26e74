"""How each kind of row that a worker's sweeps handle is made, poisoned, swept and seen to be handled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests import poison_rows as rows
from tests.mailbox import deliver_due
from tests.poison_world import ROTATED, Row, World


async def try_again(world: World) -> None:
    """Tries what a sweep failed on, as a sweep of its own does."""
    await world.jobs.run("setbacks")


@dataclass(frozen=True)
class Trial:
    """One kind of row. `make` makes rows that are due, the eldest first.

    `handled` says of the row with key $1 whether it was. A sweep that tries noted rows by itself does so in
    `again`; `lease_over` is what makes its rows due.
    """

    make: Callable[[World, int], Awaitable[list[Row]]]
    table: str
    column: str
    sweep: Callable[[World], Awaitable[None]]
    handled: str
    when: str | None = None
    tries_by_itself: bool = False
    lease_over: str = "SELECT 1"

    @property
    def again(self) -> Callable[[World], Awaitable[None]]:
        """What tries rows again that failed."""
        return self.sweep if self.tries_by_itself else try_again


async def deliver_messages(world: World) -> None:
    # As the job does, which fills places again in the background.
    await deliver_due(world.courier)


async def deliver_webhooks(world: World) -> None:
    await world.jobs.run("webhooks")
    await world.webhook_courier.finish()


TRIALS: dict[str, dict[str, Trial]] = {
    "lifecycle": {
        "lifecycle": Trial(
            rows.overdue_groups,
            "groups",
            "id",
            lambda world: world.jobs.run("lifecycle"),
            "SELECT status <> 'open' FROM groups WHERE id = $1",
        )
    },
    "expiry": {
        "expiry": Trial(
            rows.unpaid_orders,
            "orders",
            "id",
            lambda world: world.jobs.run("expiry"),
            "SELECT status = 'expired' FROM orders WHERE id = $1",
        )
    },
    "seats": {
        "seats": Trial(
            rows.seat_releases,
            "seat_releases",
            "order_id",
            lambda world: world.jobs.run("seats"),
            "SELECT NOT EXISTS (SELECT FROM seat_releases WHERE order_id = $1)",
        )
    },
    "orphans": {
        "orphans": Trial(
            rows.orphans,
            "idempotency_keys",
            "order_id",
            lambda world: world.jobs.run("orphans"),
            "SELECT EXISTS (SELECT FROM idempotency_keys WHERE order_id = $1 AND abandoned)",
        )
    },
    "stock": {
        "stock": Trial(
            rows.uneven_deals,
            "stock_transfers",
            "deal_id",
            lambda world: world.jobs.run("stock"),
            "SELECT stock_units > 10 FROM lanes WHERE deal_id = $1 AND lane_no = 0",
        )
    },
    "keys": {
        "keys": Trial(
            rows.old_keys,
            "idempotency_keys",
            "order_id",
            lambda world: world.jobs.run("keys"),
            "SELECT NOT EXISTS (SELECT FROM idempotency_keys WHERE order_id = $1)",
        ),
    },
    "gateway event tidying": {
        "gateway events": Trial(
            rows.gateway_events,
            "gateway_events",
            "event_id",
            lambda world: world.jobs.run("gateway event tidying"),
            "SELECT NOT EXISTS (SELECT FROM gateway_events WHERE event_id = $1)",
            tries_by_itself=True,
        ),
    },
    "payments": {
        "payments": Trial(
            rows.due_payments,
            "orders",
            "id",
            lambda world: world.jobs.run("payments"),
            "SELECT status <> 'held' FROM orders WHERE id = $1",
            tries_by_itself=True,
            lease_over="UPDATE payment_operations SET due_at = app_now() WHERE ended_at IS NULL",
        ),
    },
    "archive": {
        "groups": Trial(
            rows.ended_groups,
            "orders",
            "id",
            lambda world: world.jobs.run("archive"),
            "SELECT NOT EXISTS (SELECT FROM orders WHERE id = $1)",
        ),
        "solo orders": Trial(
            rows.ended_solo_orders,
            "orders",
            "id",
            lambda world: world.jobs.run("archive"),
            "SELECT NOT EXISTS (SELECT FROM orders WHERE id = $1)",
        ),
        "limits": Trial(
            rows.ended_deals,
            "deals",
            "id",
            lambda world: world.jobs.run("archive"),
            "SELECT limits_forgotten_at IS NOT NULL FROM deals WHERE id = $1",
        ),
    },
    "notifications": {
        "notifications": Trial(
            rows.messages,
            "notifications",
            "id",
            deliver_messages,
            "SELECT state = 'sent' FROM notifications WHERE id = $1",
            when="NEW.state <> 'in_flight'",
            tries_by_itself=True,
            lease_over="UPDATE notifications SET due_at = app_now() WHERE ended_at IS NULL",
        ),
    },
    "nudges": {
        "nudges": Trial(
            rows.due_nudges,
            "nudges",
            "group_id",
            lambda world: world.jobs.run("nudges"),
            "SELECT NOT EXISTS (SELECT FROM nudges WHERE group_id = $1)",
        ),
    },
    "erasures": {
        "erasures": Trial(
            rows.erasures,
            "orders",
            "id",
            lambda world: world.jobs.run("erasures"),
            "SELECT starts_with(buyer_id, 'erased_') FROM orders WHERE id = $1",
        ),
    },
    "invites": {
        "invites": Trial(
            rows.waiting_invites,
            "invites",
            "code",
            lambda world: world.jobs.run("invites"),
            "SELECT awaits_order_id IS NULL FROM invites WHERE code = $1",
        ),
    },
    "notification tidying": {
        "readable messages": Trial(
            rows.delivered_messages,
            "notifications",
            "id",
            lambda world: world.jobs.run("notification tidying"),
            "SELECT sealed IS NULL FROM notifications WHERE id = $1",
            tries_by_itself=True,
        ),
        "old messages": Trial(
            rows.old_messages,
            "notifications",
            "id",
            lambda world: world.jobs.run("notification tidying"),
            "SELECT NOT EXISTS (SELECT FROM notifications WHERE id = $1)",
            tries_by_itself=True,
        ),
    },
    "sign-in tidying": {
        "sessions": Trial(
            rows.sessions,
            "refresh_sessions",
            "id",
            lambda world: world.jobs.run("sign-in tidying"),
            "SELECT NOT EXISTS (SELECT FROM refresh_sessions WHERE id = $1)",
            tries_by_itself=True,
        ),
        "codes": Trial(
            rows.codes,
            "sign_in_codes",
            "contact_digest",
            lambda world: world.jobs.run("sign-in tidying"),
            "SELECT NOT EXISTS (SELECT FROM sign_in_codes WHERE contact_digest::text = $1)",
            tries_by_itself=True,
        ),
        "asked codes": Trial(
            rows.asked_codes,
            "asked_codes",
            "contact_digest",
            lambda world: world.jobs.run("sign-in tidying"),
            "SELECT NOT EXISTS (SELECT FROM asked_codes WHERE contact_digest::text = $1)",
            tries_by_itself=True,
        ),
        "known clients": Trial(
            rows.known_clients,
            "known_clients",
            "contact_digest",
            lambda world: world.jobs.run("sign-in tidying"),
            "SELECT NOT EXISTS (SELECT FROM known_clients WHERE contact_digest::text = $1)",
            tries_by_itself=True,
        ),
        "windows": Trial(
            rows.windows,
            "limit_windows",
            "key_digest",
            lambda world: world.jobs.run("sign-in tidying"),
            "SELECT NOT EXISTS (SELECT FROM limit_windows WHERE key_digest::text = $1)",
            tries_by_itself=True,
        ),
    },
    "invite tidying": {
        "recipients": Trial(
            rows.invited,
            "invites",
            "code",
            lambda world: world.jobs.run("invite tidying"),
            "SELECT sealed IS NULL FROM invites WHERE code = $1",
            tries_by_itself=True,
        ),
    },
    "activity tidying": {
        "addresses": Trial(
            rows.known_addresses,
            "activity_addresses",
            "activity_id",
            lambda world: world.jobs.run("activity tidying"),
            "SELECT NOT EXISTS (SELECT FROM activity_addresses WHERE activity_id = $1)",
            tries_by_itself=True,
        ),
    },
    "offer tidying": {
        "replaced offers": Trial(
            rows.replaced_offers,
            "replaced_offers",
            "id",
            lambda world: world.jobs.run("offer tidying"),
            "SELECT NOT EXISTS (SELECT FROM replaced_offers WHERE id::text = $1)",
            tries_by_itself=True,
        ),
    },
    "consent tidying": {
        "unsubscribes": Trial(
            rows.unsubscribed,
            "unsubscribes",
            "recipient_digest",
            lambda world: world.jobs.run("consent tidying"),
            "SELECT NOT EXISTS (SELECT FROM unsubscribes WHERE recipient_digest::text = $1)",
            tries_by_itself=True,
        ),
    },
    "events": {
        "webhooks": Trial(
            rows.events_for_webhooks,
            "webhook_events",
            "object_id",
            lambda world: world.jobs.run("events"),
            "SELECT EXISTS (SELECT FROM webhook_events WHERE object_id = $1)",
        ),
        "nudges": Trial(
            rows.events_for_nudges,
            "nudges",
            "group_id",
            lambda world: world.jobs.run("events"),
            "SELECT EXISTS (SELECT FROM nudges WHERE group_id = $1)",
        ),
    },
    "webhooks": {
        "deliveries": Trial(
            rows.deliveries,
            "webhook_deliveries",
            "id",
            deliver_webhooks,
            "SELECT state = 'delivered' FROM webhook_deliveries WHERE id = $1",
            when="NEW.state <> 'in_flight'",
            tries_by_itself=True,
            lease_over="UPDATE webhook_deliveries SET due_at = app_now() WHERE ended_at IS NULL",
        ),
    },
    "webhook tidying": {
        "old events": Trial(
            rows.old_events,
            "webhook_events",
            "id",
            lambda world: world.jobs.run("webhook tidying"),
            "SELECT NOT EXISTS (SELECT FROM webhook_events WHERE id = $1)",
            tries_by_itself=True,
        ),
        "ended secrets": Trial(
            rows.ended_secrets,
            "webhook_secrets",
            "endpoint_id",
            lambda world: world.jobs.run("webhook tidying"),
            "SELECT NOT EXISTS (SELECT FROM webhook_secrets WHERE endpoint_id = $1)",
            tries_by_itself=True,
        ),
        "former keys": Trial(
            rows.former_secrets,
            "webhook_secrets",
            "endpoint_id",
            lambda world: world.jobs.run("webhook tidying"),
            f"SELECT kid = '{ROTATED.kid}' FROM webhook_secrets WHERE endpoint_id = $1",  # noqa: S608 - a key's own name
            tries_by_itself=True,
        ),
    },
}
