"""Rows of each kind that a worker's sweeps handle, due now, the eldest first."""

from __future__ import annotations

from groups.ids import new_id
from pintuan.base.keyring import Keyring
from pintuan.people.contacts.contacts import Contact
from pintuan.people.contacts.sealed import seal_contact
from pintuan.people.notifications.message import Message
from pintuan.people.notifications.service import enqueue
from pintuan.people.personal.erasures import insert_erasure
from pintuan.selling.webhooks import service as webhooks
from pintuan.selling.webhooks.schemas import NewWebhookEndpoint
from tests.interleaving import place_and_die
from tests.market import digest
from tests.poison_world import FORMER, KEYRING, ROTATED, Row, World

DAY_MS = 24 * 3_600_000


async def overdue_groups(world: World, count: int) -> list[Row]:
    groups = [await world.rows.group() for _ in range(count)]
    for age, group in enumerate(reversed(groups), 1):
        await world.pool.execute(
            "UPDATE groups SET opened_at = opened_at - interval '1 day', deadline = app_now() WHERE id = $1",
            group,
        )
        await world.pool.execute(
            "UPDATE group_progress SET check_at = app_now() - $2 * interval '1 second' WHERE group_id = $1",
            group,
            age,
        )
    return [Row(group, group) for group in groups]


async def unpaid_orders(world: World, count: int) -> list[Row]:
    orders = [await world.rows.order() for _ in range(count)]
    await world.pool.execute(
        "UPDATE payment_operations SET attempts = 1, first_tried_at = app_now() - interval '1 hour',"
        " due_at = app_now() + interval '1 hour'"
    )
    for age, order in enumerate(reversed(orders), 1):
        await world.pool.execute(
            "UPDATE orders SET hold_until = app_now() - $2 * interval '1 second' WHERE id = $1", order, age
        )
    return [Row(order, order) for order in orders]


async def seat_releases(world: World, count: int) -> list[Row]:
    orders = [await world.rows.order() for _ in range(count)]
    for age, order in enumerate(reversed(orders), 1):
        await world.rows.move(order, "expired")
        # Older than any rebuild that could have missed it, so that no lane need be told.
        await world.pool.execute(
            "UPDATE seat_releases SET created_at = app_now() - interval '1 hour',"
            " due_at = app_now() - $2 * interval '1 second' WHERE order_id = $1",
            order,
            age,
        )
    return [Row(order, order) for order in orders]


async def orphans(world: World, count: int) -> list[Row]:
    rows = []
    for deal in sorted([await world.market.deal() for _ in range(count)]):
        orphan = await place_and_die(world.pool, world.redis_url, world.market.wish("ann", deal=deal))
        rows.append(Row(f"{deal}:0", orphan.order_id))
    return rows


async def uneven_deals(world: World, count: int) -> list[Row]:
    deals = sorted([await world.market.deal(lanes=2, stock=20) for _ in range(count)])
    await world.pool.execute(
        "UPDATE lanes SET sold_units = 10, epoch = epoch + 1 WHERE lane_no = 0 AND deal_id = ANY($1::text[])",
        deals,
    )
    return [Row(deal, deal) for deal in deals]


async def old_keys(world: World, count: int) -> list[Row]:
    rows = []
    for age in range(count, 0, -1):
        order, request = new_id("ord"), digest("old", age)
        await world.pool.execute(
            "INSERT INTO idempotency_keys (request_id, body_digest, order_id, created_at)"
            " VALUES ($1, '', $2, app_now() - $3 * interval '2 days')",
            request,
            order,
            age,
        )
        rows.append(Row(request.hex(), order))
    return rows


async def due_payments(world: World, count: int) -> list[Row]:
    orders = [await world.rows.order() for _ in range(count)]
    return [Row(f"{order}:authorise", order) for order in orders]


async def gateway_events(world: World, count: int) -> list[Row]:
    for n in range(count):
        await world.pool.execute(
            "INSERT INTO gateway_events (gateway, event_id, kind, received_at)"
            " VALUES ('stripe', $1, 'trial', app_now() - $2 * interval '100 days')",
            f"evt_{n}",
            count - n,
        )
    return [Row(f"stripe evt_{n}", f"evt_{n}") for n in range(count)]


async def ended_groups(world: World, count: int) -> list[Row]:
    groups = [await world.rows.group() for _ in range(count)]
    orders = [await world.rows.order(group=group) for group in groups]
    await end_orders(world, orders)
    for age, group in enumerate(reversed(groups), 2):
        await world.pool.execute(
            "UPDATE groups SET status = 'closing', closing_at = app_now(), settle_by = app_now()"
            " WHERE id = $1",
            group,
        )
        await world.pool.execute(
            "UPDATE groups SET status = 'settling', settled_at = app_now(), final_headcount = 0,"
            " final_unit_price_minor = 900 WHERE id = $1",
            group,
        )
        await world.pool.execute(
            "UPDATE groups SET status = 'failed', ended_at = app_now() - $2 * interval '1 day' WHERE id = $1",
            group,
            age,
        )
    return [Row(group, order) for group, order in zip(groups, orders, strict=True)]


async def ended_solo_orders(world: World, count: int) -> list[Row]:
    orders = [await world.rows.order() for _ in range(count)]
    await end_orders(world, orders)
    for age, order in enumerate(reversed(orders), 2):
        await world.pool.execute(
            "UPDATE orders SET updated_at = app_now() - $2 * interval '1 day' WHERE id = $1", order, age
        )
    return [Row(order, order) for order in orders]


async def end_orders(world: World, orders: list[str]) -> None:
    await world.pool.execute("UPDATE payment_operations SET state = 'declined', ended_at = app_now()")
    await world.pool.execute("UPDATE orders SET status = 'declined' WHERE id = ANY($1::text[])", orders)
    await world.pool.execute("DELETE FROM seat_releases")


async def ended_deals(world: World, count: int) -> list[Row]:
    deals = [await world.market.deal() for _ in range(count)]
    for age, deal in enumerate(reversed(deals), 2):
        await world.pool.execute(
            "UPDATE deals SET status = 'ended', updated_at = app_now() - $2 * interval '1 day' WHERE id = $1",
            deal,
            age,
        )
    return [Row(deal, deal) for deal in deals]


async def messages(world: World, count: int) -> list[Row]:
    for n in range(count):
        async with world.pool.acquire() as connection:
            await enqueue(
                connection,
                KEYRING,
                Message(channel="email", to=f"{n}@example.com", subject="Hello", text="Hello"),
                kind="trial",
                lifetime_ms=DAY_MS,
            )
    rows = await world.pool.fetch("SELECT id FROM notifications ORDER BY due_at, created_at")
    return [Row(row["id"], row["id"]) for row in rows]


async def delivered_messages(world: World, count: int) -> list[Row]:
    rows = await messages(world, count)
    await world.pool.execute(
        "UPDATE notifications SET state = 'sent', ended_at = app_now() - interval '2 hours'"
    )
    return rows


async def old_messages(world: World, count: int) -> list[Row]:
    rows = await messages(world, count)
    await world.pool.execute(
        "UPDATE notifications SET state = 'sent', sealed = NULL, ended_at = app_now() - interval '60 days'"
    )
    return rows


async def due_nudges(world: World, count: int) -> list[Row]:
    groups = [await world.rows.group() for _ in range(count)]
    for age, group in enumerate(reversed(groups), 1):
        await world.pool.execute(
            "INSERT INTO nudges (group_id, kind, due_at)"
            " VALUES ($1, 'failed', app_now() - $2 * interval '1 second')",
            group,
            age,
        )
    return [Row(f"{group} failed", group) for group in groups]


async def erasures(world: World, count: int) -> list[Row]:
    orders = [await world.rows.order() for _ in range(count)]
    await end_orders(world, orders)
    rows = []
    for age, order in zip(range(count, 0, -1), orders, strict=True):
        buyer = await world.pool.fetchval("SELECT buyer_id FROM orders WHERE id = $1", order)
        async with world.pool.acquire() as connection:
            await insert_erasure(connection, buyer)
        await world.pool.execute(
            "UPDATE erasures SET look_at = app_now() - $2 * interval '1 second' WHERE subject = $1",
            buyer,
            age,
        )
        rows.append(Row(buyer, order))
    return rows


async def sessions(world: World, count: int) -> list[Row]:
    await world.pool.execute("INSERT INTO accounts (id) VALUES ('ann')")
    for n in range(count):
        await world.pool.execute(
            "INSERT INTO refresh_sessions (id, account_id, family, secret_digest, created_at, expires_at)"
            " VALUES ($1, 'ann', $2, $3, app_now() - interval '90 days', app_now() - interval '60 days')",
            f"ses_{n}",
            digest("family", n),
            digest("secret", n) * 2,
        )
    return [Row(f"ses_{n}", f"ses_{n}") for n in range(count)]


async def codes(world: World, count: int) -> list[Row]:
    digests = [digest("code", n) * 2 for n in range(count)]
    for one in digests:
        await world.pool.execute(
            "INSERT INTO sign_in_codes (contact_digest, code_digest, expires_at)"
            " VALUES ($1, $1, app_now() - interval '1 day')",
            one,
        )
    return [Row(one.hex(), f"\\x{one.hex()}") for one in digests]


async def asked_codes(world: World, count: int) -> list[Row]:
    digests = [digest("asked", n) * 2 for n in range(count)]
    for one in digests:
        await world.pool.execute(
            "INSERT INTO asked_codes (contact_digest, client_digest, code_digest, expires_at)"
            " VALUES ($1, $1, $1, app_now() - interval '1 day')",
            one,
        )
    return [Row(one.hex() * 2, f"\\x{one.hex()}") for one in digests]


async def known_clients(world: World, count: int) -> list[Row]:
    digests = [digest("known", n) * 2 for n in range(count)]
    for one in digests:
        await world.pool.execute(
            "INSERT INTO known_clients (contact_digest, client_digest, seen_at)"
            " VALUES ($1, $1, app_now() - interval '900 days')",
            one,
        )
    return [Row(one.hex() * 2, f"\\x{one.hex()}") for one in digests]


async def windows(world: World, count: int) -> list[Row]:
    digests = [digest("window", n) * 2 for n in range(count)]
    for one in digests:
        await world.pool.execute(
            "INSERT INTO limit_windows (scope, key_digest, moments, idle_at)"
            " VALUES ('a trial', $1, '{}', app_now() - interval '1 day')",
            one,
        )
    return [Row(f"a trial {one.hex()}", f"\\x{one.hex()}") for one in digests]


async def invited(world: World, count: int) -> list[Row]:
    group = await world.rows.group()
    for n in range(count):
        await world.pool.execute(
            "INSERT INTO invites"
            " (code, group_id, inviter_id, channel, recipient_digest, sealed, due_at, forget_at)"
            " VALUES ($1, $2, 'ann', 'email', $3, '', app_now(), app_now() - interval '1 day')",
            f"invitation-{n}",
            group,
            digest("recipient", n) * 2,
        )
    return [Row(f"invitation-{n}", f"invitation-{n}") for n in range(count)]


async def waiting_invites(world: World, count: int) -> list[Row]:
    group, order = await world.rows.group(), await world.rows.order()
    await world.rows.move(order, "authorised")
    for n in range(count):
        await world.pool.execute(
            "INSERT INTO invites (code, group_id, inviter_id, channel, due_at, forget_at, awaits_order_id)"
            " VALUES ($1, $2, 'ann', 'email', app_now() - $3 * interval '1 second',"
            " app_now() + interval '1 day', $4)",
            f"invitation-{n}",
            group,
            count - n,
            order,
        )
    return [Row(f"invitation-{n}", f"invitation-{n}") for n in range(count)]


async def known_addresses(world: World, count: int) -> list[Row]:
    for n in range(count):
        await world.pool.execute(
            "WITH entry AS ("
            " INSERT INTO activity (id, actor, actor_role, credential, action, object_ids, changes)"
            " VALUES ($1, 'acme', 'merchant', 'token', 'pause_deal', '{}', '{}') RETURNING id)"
            " INSERT INTO activity_addresses (activity_id, address, created_at)"
            " SELECT id, '192.0.2.7', app_now() - interval '1 year' FROM entry",
            f"act_{n}",
        )
    return [Row(f"act_{n}", f"act_{n}") for n in range(count)]


async def replaced_offers(world: World, count: int) -> list[Row]:
    deal = await world.market.deal()
    for n in range(count + 1):
        await world.pool.execute("UPDATE deals SET title = $1 WHERE id = $2", f"Tea {n}", deal)
    await world.pool.execute("UPDATE replaced_offers SET replaced_at = replaced_at - interval '1 hour'")
    ids = await world.pool.fetch("SELECT id::text FROM replaced_offers ORDER BY replaced_at")
    return [Row(row["id"], row["id"]) for row in ids]


async def unsubscribed(world: World, count: int) -> list[Row]:
    rows = []
    for n in range(count):
        contact = Contact("email", f"{n}@example.com")
        one = contact.digests(FORMER)[0]
        await world.pool.execute(
            "INSERT INTO unsubscribes (recipient_digest, kid, sealed) VALUES ($1, $2, $3)",
            one,
            FORMER.kid,
            seal_contact(FORMER, contact),
        )
        rows.append(Row(f"invite {one.hex()}", f"\\x{one.hex()}"))
    return rows


async def events_for_webhooks(world: World, count: int) -> list[Row]:
    wanted = NewWebhookEndpoint(url=world.receiver.url)
    await webhooks.create_endpoint(world.pool, ROTATED, "acme", wanted)
    return await events(world, count, "webhooks", "order.captured")


async def events_for_nudges(world: World, count: int) -> list[Row]:
    return await events(world, count, "nudges", "group.failed")


async def events(world: World, count: int, noun: str, type_: str) -> list[Row]:
    rows = []
    for n in range(count):
        event_id = await world.pool.fetchval(
            "INSERT INTO events (noun, type, object_id, deal_id, happened_at)"
            " VALUES ($1, $2, $3, $4, app_now()) RETURNING id",
            noun,
            type_,
            f"nothing-{n}",
            world.rows.deal_id,
        )
        rows.append(Row(str(event_id), f"nothing-{n}"))
    return rows


async def old_events(world: World, count: int) -> list[Row]:
    for n in range(count):
        await world.pool.execute(
            "INSERT INTO webhook_events (id, merchant_id, type, object_id, created_at)"
            " VALUES ($1, 'acme', 'order.captured', 'nothing', app_now() - $2 * interval '90 days')",
            f"evt_{n}",
            count - n,
        )
    return [Row(f"evt_{n}", f"evt_{n}") for n in range(count)]


async def endpoints(world: World, count: int, keyring: Keyring = ROTATED) -> list[str]:
    ids = []
    for n in range(count):
        await world.pool.execute("INSERT INTO merchants (id) VALUES ($1)", f"merchant-{n}")
        wanted = NewWebhookEndpoint(url=world.receiver.url)
        made = await webhooks.create_endpoint(world.pool, keyring, f"merchant-{n}", wanted)
        ids.append(made.id)
    return ids


async def deliveries(world: World, count: int) -> list[Row]:
    for n, endpoint in enumerate(await endpoints(world, count)):
        await world.pool.execute(
            "WITH event AS ("
            " INSERT INTO webhook_events (merchant_id, type, object_id)"
            " VALUES ($1, 'ping', $2) RETURNING id)"
            " INSERT INTO webhook_deliveries (id, endpoint_id, event_id, due_at)"
            " SELECT $3, $2, id, app_now() - $4 * interval '1 second' FROM event",
            f"merchant-{n}",
            endpoint,
            f"whd_{n}",
            count - n,
        )
    return [Row(f"whd_{n}", f"whd_{n}") for n in range(count)]


async def ended_secrets(world: World, count: int) -> list[Row]:
    ids = await endpoints(world, count)
    await world.pool.execute("UPDATE webhook_secrets SET ends_at = app_now() - interval '1 day'")
    return [Row(f"{one} 1", one) for one in ids]


async def former_secrets(world: World, count: int) -> list[Row]:
    return [Row(f"{one} 1", one) for one in await endpoints(world, count, FORMER)]
