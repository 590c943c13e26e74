-- Groups as the API shows them.

-- name: select_groups
-- Reads groups as they stand now, with their headcount and the seats that wait for payment.
SELECT
    g.id, g.deal_id, g.share_code, g.status, g.capacity, g.min_headcount, g.tier_headcounts, g.tier_prices_minor,
    g.currency, g.opened_at, g.deadline, g.settled_at, g.final_unit_price_minor, app_now() AS server_time,
    coalesce(g.final_headcount, p.headcount) AS headcount,
    (
        SELECT count(*) FROM orders o
        -- The same as status = 'held', said so that only the index of this group's members serves, whatever the
        -- planner believes of how many are held in all groups together.
        WHERE o.group_id = g.id AND o.status IN ('held', 'authorised') AND o.status >= 'held'
    ) AS held
FROM groups g JOIN group_progress p ON p.group_id = g.id
WHERE g.id = ANY($1::text[]);

-- name: group_of_share_code
-- Finds the group behind a shared link.
SELECT id FROM groups WHERE share_code = $1;

-- name: select_order_in_group
-- Reads the buyer's order in a group: the live one, or else the newest.
SELECT * FROM orders_shown
WHERE group_id = $1 AND buyer_id = $2
ORDER BY order_is_live(status) DESC, created_at DESC
LIMIT 1;
