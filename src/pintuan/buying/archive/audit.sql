-- The questions of `pintuan audit` about the archive. Every statement answers (id, detail) of each fault, at
-- most $1 rows.

-- name: archive_is_whole
-- An order is in one place with its payments, is over where it is archived, and its refunds and group know where.
SELECT a.id, 'in the archive and outside of it' AS detail
FROM archived_orders a JOIN orders o ON o.id = a.id
UNION ALL
SELECT a.id, format('archived while %s', a.status)
FROM archived_orders a
WHERE NOT order_is_over(a.id, a.status)
    OR EXISTS (SELECT FROM payment_operations p WHERE p.order_id = a.id)
    OR EXISTS (
        SELECT FROM archived_operations p
        WHERE p.order_id = a.id AND (p.ended_at IS NULL OR p.escalated_at IS NOT NULL)
    )
UNION ALL
SELECT p.order_id, format('its %s is archived without it', p.kind)
FROM archived_operations p LEFT JOIN archived_orders a ON a.id = p.order_id
WHERE a.id IS NULL
UNION ALL
SELECT r.order_id, format('has refund %s and is nowhere', r.id)
FROM refunds r LEFT JOIN every_order o ON o.id = r.order_id
WHERE o.id IS NULL
UNION ALL
SELECT g.id, format('archived without %s', o.id)
FROM groups g JOIN orders o ON o.group_id = g.id
WHERE g.archived_at IS NOT NULL
LIMIT $1;
