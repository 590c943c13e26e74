-- Orders as the API shows them, and how a forgotten buyer is taken out of them. Locks: orders, then
-- deal_buyers, then lanes, as everywhere.

-- name: select_order
-- Reads one order of a buyer.
SELECT * FROM orders_shown WHERE id = $1 AND buyer_id = $2;

-- name: select_any_order
-- Reads one order, for a caller who was found to be its merchant.
SELECT * FROM orders_shown WHERE id = $1;

-- name: select_offer_to_place
-- Answers what is on offer in deal $1, or else in the deal of group $2, unless key $3 has placed an order.
SELECT f.offer
FROM offer_at(coalesce((SELECT g.deal_id FROM groups g WHERE g.id = $2), $1), app_now()) f
WHERE NOT EXISTS (SELECT FROM idempotency_keys k WHERE k.request_id = $3 AND NOT k.abandoned);

-- name: list_orders
-- Reads a page of a buyer's orders (in status $5), newest first, from just behind ($2, $3).
SELECT * FROM orders_shown
WHERE buyer_id = $1 AND status = coalesce($5, status)
    AND (created_at, id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::text, ''))
ORDER BY created_at DESC, id DESC
LIMIT $4;

-- name: lock_ended_orders
-- Locks up to $3 orders that seem to be over and that a buyer placed by $2, in id order.
SELECT o.id
FROM orders o
WHERE o.buyer_id = $1 AND o.created_at <= $2
    AND o.status NOT IN ('held', 'authorised')
    AND NOT EXISTS (SELECT FROM payment_operations p WHERE p.order_id = o.id AND (p.ended_at IS NULL OR p.escalated_at IS NOT NULL))
ORDER BY o.id
LIMIT $3
FOR UPDATE OF o;

-- name: any_order_of
-- Says whether there is an order, archived or not, that a buyer placed by $2.
SELECT EXISTS (SELECT FROM every_order o WHERE o.buyer_id = $1 AND o.created_at <= $2);

-- name: scrub_orders
-- Takes the person out of those locked orders that are over, and answers the units each still counts for, and
-- its card.
UPDATE orders o
SET buyer_id = $2, ship_to = NULL, invite_code = NULL, payment_method = 'erased', card_digest = NULL
FROM (SELECT id, card_digest FROM orders WHERE id = ANY($1::text[])) was
WHERE o.id = was.id AND o.status NOT IN ('held', 'authorised')
    AND NOT EXISTS (SELECT FROM payment_operations p WHERE p.order_id = o.id AND (p.ended_at IS NULL OR p.escalated_at IS NOT NULL))
RETURNING o.deal_id, CASE WHEN order_is_live(o.status) THEN o.quantity ELSE 0 END AS units, was.card_digest;

-- name: hold_limited_deals
-- Keeps the limits of those deals $1 that have them from being forgotten until the transaction ends, and answers which.
SELECT id FROM deals WHERE id = ANY($1::text[]) AND limits_forgotten_at IS NULL ORDER BY id FOR SHARE;

-- name: keep_units
-- Goes on counting units of held deals for the digests of those who were erased.
INSERT INTO erased_units AS e (deal_id, holder, units)
SELECT u.deal_id, u.holder, u.units
FROM unnest($1::text[], $2::bytea[], $3::integer[]) AS u (deal_id, holder, units)
ORDER BY u.deal_id, u.holder
ON CONFLICT (deal_id, holder) DO UPDATE SET units = e.units + excluded.units;

-- name: lock_buyers
-- Locks what the subject and its alias have bought of some deals, in order.
SELECT deal_id FROM deal_buyers
WHERE deal_id = ANY($1::text[]) AND buyer_id IN ($2, $3)
ORDER BY deal_id, buyer_id
FOR UPDATE;

-- name: add_units
-- Counts units of some deals for the alias.
INSERT INTO deal_buyers AS b (deal_id, buyer_id, units)
SELECT u.deal_id, $1, u.units
FROM unnest($2::text[], $3::integer[]) AS u (deal_id, units)
WHERE u.units > 0
ORDER BY u.deal_id
ON CONFLICT (deal_id, buyer_id) DO UPDATE SET units = b.units + excluded.units;

-- name: take_units
-- Stops counting them for the subject.
UPDATE deal_buyers b SET units = b.units - u.units
FROM unnest($2::text[], $3::integer[]) AS u (deal_id, units)
WHERE b.deal_id = u.deal_id AND b.buyer_id = $1;

-- name: drop_buyers
-- Forgets that the subject ever bought of deals it has no live units of.
DELETE FROM deal_buyers WHERE buyer_id = $1 AND deal_id = ANY($2::text[]) AND units = 0;

-- name: forget_reasons
-- Takes the merchant's words, which may name the buyer, out of those orders of $1 that alias $2 has by now.
UPDATE refunds r SET reason = 'erased'
FROM orders o
WHERE r.order_id = ANY($1::text[]) AND o.id = r.order_id AND o.buyer_id = $2;

-- name: export_orders
-- Reads a buyer's orders with all the buyer told about them, newest first, from just behind ($2, $3): up to $4, and of
-- them as many as have $5 bytes of addresses, and one more.
SELECT *
FROM (
    SELECT page.*,
        -- Joined with nothing it is itself, but no longer compressed.
        coalesce(sum(pg_column_size(ship_to || '{}')) OVER newer, 0) AS newer_bytes
    FROM (
        SELECT s.*, o.ship_to, o.invite_code, o.payment_method
        FROM orders_shown s JOIN every_order o ON o.id = s.id
        WHERE s.buyer_id = $1
            AND (s.created_at, s.id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::text, ''))
        ORDER BY s.created_at DESC, s.id DESC
        LIMIT $4
    ) page
    WINDOW newer AS (ORDER BY created_at DESC, id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
) orders
WHERE newer_bytes <= $5::bigint
ORDER BY created_at DESC, id DESC;
