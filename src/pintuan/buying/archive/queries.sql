-- Moving orders that are over into the archive, and back. Locks: groups, then orders, as everywhere.

-- name: is_known_everywhere
-- Says whether the archive has been there for $1 ms, so that every process that is left reads orders with it.
SELECT EXISTS (
    SELECT FROM schema_migrations
    WHERE name = '0004_buying' AND applied_at < app_now() - $1::bigint * interval '1 millisecond'
);

-- name: groups_to_archive
-- Lists up to $2 groups that ended over $1 ms ago and have orders outside the archive, the oldest first; those that
-- failed are tried elsewhere.
SELECT g.id FROM groups g
WHERE g.ended_at IS NOT NULL AND g.archived_at IS NULL
    AND coalesce(g.kept_from, g.ended_at) < app_now() - $1::bigint * interval '1 millisecond'
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'archive' AND s.row_id = g.id)
ORDER BY coalesce(g.kept_from, g.ended_at)
LIMIT $2;

-- name: lock_groups_to_archive
-- Takes those of groups $1 that ended over $2 ms ago and have orders outside the archive.
SELECT id FROM groups
WHERE id = ANY($1::text[]) AND ended_at IS NOT NULL AND archived_at IS NULL
    AND coalesce(kept_from, ended_at) < app_now() - $2::bigint * interval '1 millisecond'
ORDER BY id
FOR NO KEY UPDATE SKIP LOCKED;

-- name: lock_orders_of_groups
-- Locks up to $2 orders of those groups that seem to be over.
SELECT o.id
FROM orders o
WHERE o.id IN (
    -- Any members will do, so only as many are read as are taken.
    SELECT m.id
    FROM (
        SELECT id, status FROM orders
        WHERE group_id = ANY($1::text[])
            AND status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
        UNION ALL
        SELECT id, status FROM orders
        WHERE group_id = ANY($1::text[])
            AND status IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
    ) m
    WHERE order_is_over(m.id, m.status)
    LIMIT $2
)
ORDER BY o.id
FOR UPDATE OF o;

-- name: solo_orders_to_archive
-- Lists up to $2 orders without a group that changed last over $1 ms ago and seem to be over; those that failed are tried
-- elsewhere.
SELECT o.id
FROM orders o
WHERE o.group_id IS NULL AND o.status NOT IN ('held', 'authorised')
    AND o.updated_at < app_now() - $1::bigint * interval '1 millisecond'
    AND order_is_over(o.id, o.status)
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'solo orders' AND s.row_id = o.id)
ORDER BY o.updated_at
LIMIT $2;

-- name: lock_solo_orders
-- Takes those of orders $1 without a group that changed last over $2 ms ago and seem to be over.
SELECT o.id
FROM orders o
WHERE o.id = ANY($1::text[]) AND o.group_id IS NULL AND o.status NOT IN ('held', 'authorised')
    AND o.updated_at < app_now() - $2::bigint * interval '1 millisecond'
    AND order_is_over(o.id, o.status)
ORDER BY o.id
FOR UPDATE OF o SKIP LOCKED;

-- name: archive_orders
-- Moves those of the locked orders that are over, with their payment operations; answers how many.
WITH moved AS (
    DELETE FROM orders o WHERE o.id = ANY($1::text[]) AND order_is_over(o.id, o.status) RETURNING o.*
),
paid AS (
    DELETE FROM payment_operations p USING moved m WHERE p.order_id = m.id RETURNING p.*
),
kept AS (
    INSERT INTO archived_operations SELECT * FROM paid ORDER BY order_id, kind, operation_no
),
archived AS (
    INSERT INTO archived_orders SELECT * FROM moved ORDER BY id RETURNING id
)
SELECT count(*) FROM archived;

-- name: end_archiving
-- Notes of locked groups that all their orders are in the archive, or that some had to stay for now.
UPDATE groups g
SET archived_at = CASE WHEN left_behind.any THEN NULL ELSE app_now() END,
    kept_from = CASE WHEN left_behind.any THEN app_now() ELSE g.kept_from END
FROM unnest($1::text[]) AS u (id)
CROSS JOIN LATERAL (
    SELECT EXISTS (
        SELECT FROM orders o
        WHERE o.group_id = u.id AND o.status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
    ) OR EXISTS (
        SELECT FROM orders o
        WHERE o.group_id = u.id AND o.status IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
    ) AS any
) left_behind
WHERE g.id = u.id;

-- name: archived_order_of_merchant
-- Finds an order in the archive, of merchant $2 unless it is null.
SELECT o.id FROM archived_orders o JOIN deals d ON d.id = o.deal_id
WHERE o.id = $1 AND ($2::text IS NULL OR d.merchant_id = $2);

-- name: archived_orders_of_buyer
-- Lists up to $3 orders in the archive that a buyer placed by $2.
SELECT o.id FROM archived_orders o WHERE o.buyer_id = $1 AND o.created_at <= $2 ORDER BY o.id LIMIT $3;

-- name: lock_groups_of_archived
-- Locks the groups of archived orders that are to come back, and lets their age begin anew.
WITH locked AS (
    SELECT g.id FROM groups g
    WHERE g.id IN (SELECT o.group_id FROM archived_orders o WHERE o.id = ANY($1::text[]))
    ORDER BY g.id
    FOR NO KEY UPDATE
)
UPDATE groups g SET archived_at = NULL, kept_from = app_now() FROM locked l WHERE g.id = l.id;

-- name: bring_back_orders
-- Moves archived orders back, with their payment operations; answers how many were still there.
WITH moved AS (
    DELETE FROM archived_orders o WHERE o.id = ANY($1::text[]) RETURNING o.*
),
paid AS (
    DELETE FROM archived_operations p USING moved m WHERE p.order_id = m.id RETURNING p.*
),
kept AS (
    INSERT INTO payment_operations SELECT * FROM paid ORDER BY order_id, kind, operation_no
),
back AS (
    INSERT INTO orders SELECT * FROM moved ORDER BY id RETURNING id
)
SELECT count(*) FROM back;

-- name: deals_to_forget
-- Lists up to $2 deals that ended over $1 ms ago, the oldest first, of which buyers' units are kept and no group runs
-- any more; those that failed are tried elsewhere.
SELECT d.id
FROM deals d
WHERE d.limits_forgotten_at IS NULL
    AND deal_ended_at(d.status, d.ends_at, d.updated_at) < app_now() - $1::bigint * interval '1 millisecond'
    AND NOT EXISTS (
        SELECT FROM groups g WHERE g.deal_id = d.id AND g.status IN ('open', 'closing', 'settling')
    )
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'limits' AND s.row_id = d.id)
ORDER BY deal_ended_at(d.status, d.ends_at, d.updated_at)
LIMIT $2;

-- name: lock_deal_to_forget
-- Takes deal $1 if it ended over $2 ms ago, buyers' units of it are kept and no group of it runs any more.
SELECT d.id
FROM deals d
WHERE d.id = $1 AND d.limits_forgotten_at IS NULL
    AND deal_ended_at(d.status, d.ends_at, d.updated_at) < app_now() - $2::bigint * interval '1 millisecond'
    AND NOT EXISTS (
        SELECT FROM groups g WHERE g.deal_id = d.id AND g.status IN ('open', 'closing', 'settling')
    )
FOR NO KEY UPDATE OF d SKIP LOCKED;

-- name: forget_units
-- Forgets what up to $2 buyers have of a deal; answers how many there were.
WITH forgotten AS (
    DELETE FROM deal_buyers b
    USING (SELECT deal_id, buyer_id FROM deal_buyers WHERE deal_id = $1 ORDER BY buyer_id LIMIT $2) f
    WHERE b.deal_id = f.deal_id AND b.buyer_id = f.buyer_id
    RETURNING b.buyer_id
)
SELECT count(*) FROM forgotten;

-- name: forget_erased_units
-- Forgets up to $2 of the units of a deal that are counted for people who were erased; answers how many.
WITH forgotten AS (
    DELETE FROM erased_units e
    USING (SELECT deal_id, holder FROM erased_units WHERE deal_id = $1 ORDER BY holder LIMIT $2) f
    WHERE e.deal_id = f.deal_id AND e.holder = f.holder
    RETURNING e.holder
)
SELECT count(*) FROM forgotten;

-- name: end_forgetting
-- Notes that nothing is left to forget of a deal.
UPDATE deals SET limits_forgotten_at = app_now() WHERE id = $1;
