-- What the API shows of groups.

-- name: select_groups
-- Reads groups as they stand now, with their headcount and the seats that wait for payment.
SELECT
    g.id, g.deal_id, g.share_code, g.status, g.capacity, g.min_headcount, g.tier_headcounts, g.tier_prices_minor,
    g.currency, g.opened_at, g.deadline, g.settled_at, g.final_unit_price_minor, app_now() AS server_time,
    coalesce(g.final_headcount, p.headcount) AS headcount,
    (SELECT count(*) FROM orders o WHERE o.group_id = g.id AND o.status = 'held') AS held
FROM groups g JOIN group_progress p ON p.group_id = g.id
WHERE g.id = ANY($1::text[]);

-- name: group_of_share_code
-- Finds the group behind a shared link.
SELECT id FROM groups WHERE share_code = $1;

-- name: joinable_groups
-- Lists groups one can join now, fullest first, from behind ($2 live seats, $3 id); none of a deal not running.
SELECT id, taken
FROM (
    SELECT g.id, g.capacity, (
        SELECT count(*) FROM orders o
        WHERE o.group_id = g.id
            AND o.status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
    ) AS taken
    FROM groups g JOIN deals d ON d.id = g.deal_id
    WHERE g.deal_id = $1 AND g.status = 'open' AND g.deadline > app_now() AND d.status <> 'paused'
        AND d.starts_at <= app_now()
        AND EXISTS (SELECT FROM lanes l WHERE l.deal_id = d.id AND l.stock_units > l.sold_units)
) g
WHERE taken < capacity AND (taken, id) < (coalesce($2::bigint, 9223372036854775807), coalesce($3::text, ''))
ORDER BY taken DESC, id DESC
LIMIT $4;

-- name: select_order_in_group
-- Reads the buyer's order in a group: the live one, or else the newest.
SELECT * FROM orders_shown
WHERE group_id = $1 AND buyer_id = $2
ORDER BY order_is_live(status) DESC, created_at DESC
LIMIT 1;
