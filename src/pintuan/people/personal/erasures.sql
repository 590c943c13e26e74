-- Who is to be forgotten, and when to look again. Locks: the erasure, then orders, then deal_buyers, then lanes, as
-- everywhere; the statements of `orders` take the last two.

-- name: insert_erasure
-- Notes that a subject asked to be forgotten, and the alias its orders are kept under.
INSERT INTO erasures AS e (subject, alias, holders) VALUES ($1, $2, holders_of($1))
ON CONFLICT (subject) DO UPDATE SET erased_at = app_now(), look_at = app_now();

-- name: due_erasures
-- Lists up to $1 erasures that want a look, the longest due first; those that failed are tried elsewhere.
SELECT e.subject FROM erasures e
WHERE e.look_at <= app_now()
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'erasures' AND s.row_id = e.subject)
ORDER BY e.look_at LIMIT $1;

-- name: lock_erasure
-- Takes an erasure, unless somebody else is at it.
SELECT subject, alias, holders FROM erasures WHERE subject = $1 FOR UPDATE SKIP LOCKED;

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

-- name: finish_erasure
-- Forgets the subject itself, once its tokens, which lived for $2 ms, and its orders are gone, and Redis was told.
DELETE FROM erasures e
WHERE e.subject = $1 AND e.erased_at + $2::bigint * interval '1 millisecond' < app_now()
    AND NOT EXISTS (
        SELECT FROM every_order o
        WHERE o.buyer_id = e.subject AND o.created_at <= e.erased_at + $2::bigint * interval '1 millisecond'
    )
    AND NOT EXISTS (SELECT FROM forgotten_buyers f WHERE f.buyer_id = e.subject);

-- name: look_later
-- Looks at an erasure again, after a twentieth of its age, within $2 and $3 ms.
UPDATE erasures
SET look_at = app_now() + least(
    greatest((app_now() - erased_at) / 20, $2::bigint * interval '1 millisecond'),
    $3::bigint * interval '1 millisecond'
)
WHERE subject = $1;
