-- Forgetting a person's orders. Locks: the erasure, then orders, then deal_buyers, then lanes, as everywhere.

-- name: insert_erasure
-- Notes that a subject asked to be forgotten, and the alias its orders are kept under.
INSERT INTO erasures AS e (subject, alias) VALUES ($1, $2)
ON CONFLICT (subject) DO UPDATE SET erased_at = app_now(), look_at = app_now();

-- name: is_erased
-- Says whether a subject was erased in the last $2 ms.
SELECT EXISTS (
    SELECT FROM erasures WHERE subject = $1 AND erased_at > app_now() - $2::bigint * interval '1 millisecond'
);

-- name: due_erasures
-- Lists up to $1 erasures that want a look, the longest due first; those that failed are tried elsewhere.
SELECT e.subject FROM erasures e
WHERE e.look_at <= app_now()
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'erasures' AND s.row_id = e.subject)
ORDER BY e.look_at LIMIT $1;

-- name: lock_erasure
-- Takes an erasure, unless somebody else is at it.
SELECT subject, alias FROM erasures WHERE subject = $1 FOR UPDATE SKIP LOCKED;

-- name: lock_ended_orders
-- Locks up to $3 orders of an erased subject that seem to be over, in id order; tokens lived for $2 ms after it.
SELECT o.id
FROM orders o JOIN erasures e ON e.subject = o.buyer_id
WHERE o.buyer_id = $1 AND o.created_at <= e.erased_at + $2::bigint * interval '1 millisecond'
    AND o.status NOT IN ('held', 'authorised')
    AND NOT EXISTS (SELECT FROM payment_operations p WHERE p.order_id = o.id AND (p.ended_at IS NULL OR p.escalated_at IS NOT NULL))
ORDER BY o.id
LIMIT $3
FOR UPDATE OF o;

-- name: scrub_orders
-- Takes the person out of those locked orders that are over, and answers the units each still counts for.
UPDATE orders o
SET buyer_id = $2, ship_to = NULL, invite_code = NULL, payment_method = 'erased', card_digest = NULL
WHERE o.id = ANY($1::text[]) AND o.status NOT IN ('held', 'authorised')
    AND NOT EXISTS (SELECT FROM payment_operations p WHERE p.order_id = o.id AND (p.ended_at IS NULL OR p.escalated_at IS NOT NULL))
RETURNING o.deal_id, CASE WHEN order_is_live(o.status) THEN o.quantity ELSE 0 END AS units;

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
-- Counts them for the subject no more.
UPDATE deal_buyers b SET units = b.units - u.units
FROM unnest($2::text[], $3::integer[]) AS u (deal_id, units)
WHERE b.deal_id = u.deal_id AND b.buyer_id = $1;

-- name: drop_buyers
-- Forgets that the subject ever bought of deals it has no live units of.
DELETE FROM deal_buyers WHERE buyer_id = $1 AND deal_id = ANY($2::text[]) AND units = 0;

-- name: raise_forgetful_lanes
-- Raises the epoch of all lanes of a deal and names no change of its terms, so that Redis reads its buyers anew.
UPDATE lanes SET epoch = epoch + 1 WHERE deal_id = $1;

-- name: finish_erasure
-- Forgets the subject itself, once its tokens, which lived for $2 ms, and its orders are gone.
DELETE FROM erasures e
WHERE e.subject = $1 AND e.erased_at + $2::bigint * interval '1 millisecond' < app_now()
    AND NOT EXISTS (
        SELECT FROM every_order o
        WHERE o.buyer_id = e.subject AND o.created_at <= e.erased_at + $2::bigint * interval '1 millisecond'
    );

-- name: look_later
-- Looks at an erasure again, after a twentieth of its age, within $2 and $3 ms.
UPDATE erasures
SET look_at = app_now() + least(
    greatest((app_now() - erased_at) / 20, $2::bigint * interval '1 millisecond'),
    $3::bigint * interval '1 millisecond'
)
WHERE subject = $1;
