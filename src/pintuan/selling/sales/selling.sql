-- Orders and groups as their merchants see them.

-- name: page_of_sales
-- Lists orders of merchant $1 (of deal $2) in the statuses $3, newest first, from $4 up to $5, from behind ($6, $7).
SELECT id, created_at
FROM (
    (
        SELECT o.id, o.created_at
        FROM deals d CROSS JOIN unnest($3::text[]) AS wanted (status)
        CROSS JOIN LATERAL (
            -- Each part by itself is the end of an index.
            (
                SELECT o.id, o.created_at FROM orders o
                WHERE o.deal_id = d.id AND o.status = wanted.status AND o.status <> 'held'
                    AND o.created_at >= $4 AND o.created_at < $5 AND (o.created_at, o.id) < ($6, $7)
                ORDER BY o.created_at DESC, o.id DESC
                LIMIT $8
            )
            UNION ALL
            (
                SELECT o.id, o.created_at FROM archived_orders o
                WHERE o.deal_id = d.id AND o.status = wanted.status
                    AND o.created_at >= $4 AND o.created_at < $5 AND (o.created_at, o.id) < ($6, $7)
                ORDER BY o.created_at DESC, o.id DESC
                LIMIT $8
            )
        ) o
        WHERE d.merchant_id = $1 AND d.id = coalesce($2, d.id)
    )
    UNION ALL
    (
        SELECT o.id, o.created_at
        FROM orders o JOIN deals d ON d.id = o.deal_id
        WHERE o.status = 'held' AND 'held' = ANY($3::text[])
            AND d.merchant_id = $1 AND d.id = coalesce($2, d.id)
            AND o.created_at >= $4 AND o.created_at < $5 AND (o.created_at, o.id) < ($6, $7)
        ORDER BY o.created_at DESC, o.id DESC
        LIMIT $8
    )
) sales
ORDER BY created_at DESC, id DESC
LIMIT $8;

-- name: page_of_group_sales
-- The same of group $8 alone, which may have many orders that ended.
SELECT o.id, o.created_at
FROM (
    SELECT id, deal_id, status, created_at FROM orders
    WHERE group_id = $8 AND status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
    UNION ALL
    SELECT id, deal_id, status, created_at FROM orders
    WHERE group_id = $8 AND status IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
    UNION ALL
    SELECT id, deal_id, status, created_at FROM archived_orders WHERE group_id = $8
) o
JOIN deals d ON d.id = o.deal_id
WHERE d.merchant_id = $1 AND d.id = coalesce($2, d.id) AND o.status = ANY($3::text[])
    AND o.created_at >= $4 AND o.created_at < $5 AND (o.created_at, o.id) < ($6, $7)
ORDER BY o.created_at DESC, o.id DESC
LIMIT $9;

-- name: select_sales
-- Reads orders of a merchant as the merchant sees them: of the newest as many as have $3 bytes of addresses, and one more.
SELECT *
FROM (
    SELECT
        s.id, s.deal_id, s.group_id, s.seat, s.buyer_id, s.status, s.quantity, s.currency, s.promised_unit_minor,
        s.final_unit_minor, s.created_at, s.payment_kind, s.payment_state, s.refunded_minor, s.refunds,
        s.decline_reason, s.offer, o.ship_to, o.updated_at, o.card_digest,
        d.merchant_id, m.buyer_reference_key,
        -- Joined with nothing it is itself, but no longer compressed.
        coalesce(sum(pg_column_size(o.ship_to || '{}')) OVER newer, 0) AS newer_bytes
    FROM orders_shown s
    JOIN every_order o ON o.id = s.id
    JOIN deals d ON d.id = o.deal_id
    JOIN merchants m ON m.id = d.merchant_id
    WHERE s.id = ANY($1::text[]) AND d.merchant_id = coalesce($2, d.merchant_id)
    WINDOW newer AS (ORDER BY s.created_at DESC, s.id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
) sales
WHERE newer_bytes <= coalesce($3::bigint, newer_bytes)
ORDER BY created_at DESC, id DESC;

-- name: page_of_groups
-- Lists groups of merchant $1 (of deal $2) in the statuses $3, newest first, from just behind ($4, $5). Groups that ended
-- without anybody's payment ever having been authorised are left out.
SELECT g.id, g.opened_at
FROM deals d CROSS JOIN unnest($3::text[]) AS wanted (status)
CROSS JOIN LATERAL (
    SELECT g.id, g.opened_at FROM groups g
    WHERE g.deal_id = d.id AND g.status = wanted.status AND (g.opened_at, g.id) < ($4, $5)
        AND (g.ended_at IS NULL OR g.final_headcount > 0 OR g.departures > 0)
    ORDER BY g.opened_at DESC, g.id DESC
    LIMIT $6
) g
WHERE d.merchant_id = $1 AND d.id = coalesce($2, d.id)
ORDER BY g.opened_at DESC, g.id DESC
LIMIT $6;

-- name: sum_groups
-- Counts the orders of groups by status, with their units, captures and refunds.
SELECT group_id, status, count(*) AS orders, sum(quantity) AS units,
    (sum(final_unit_minor * quantity) FILTER (WHERE status IN ('captured', 'partially_refunded', 'refunded')))::bigint
        AS captured_minor,
    sum(refunded_minor)::bigint AS refunded_minor
FROM (
    SELECT group_id, status, quantity, final_unit_minor, refunded_minor FROM orders
    WHERE group_id = ANY($1::text[])
        AND status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
    UNION ALL
    SELECT group_id, status, quantity, final_unit_minor, refunded_minor FROM orders
    WHERE group_id = ANY($1::text[])
        AND status IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
    UNION ALL
    SELECT group_id, status, quantity, final_unit_minor, refunded_minor FROM archived_orders
    WHERE group_id = ANY($1::text[])
) o
GROUP BY group_id, status;
