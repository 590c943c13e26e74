-- The questions of `pintuan audit` about groups, their seats and the stock of lanes. Every statement answers
-- (id, detail) of each fault, at most $1 rows.

-- name: seats_within_capacity
-- Live seats of a group are distinct, belong to distinct buyers, and do not exceed its capacity.
SELECT o.group_id AS id, format('%s live seats of %s', count(*), g.capacity) AS detail
FROM every_order o LEFT JOIN groups g ON g.id = o.group_id
WHERE o.group_id IS NOT NULL AND order_is_live(o.status)
GROUP BY o.group_id, g.capacity
HAVING count(*) > g.capacity OR count(*) <> count(DISTINCT o.seat) OR count(*) <> count(DISTINCT o.buyer_id)
LIMIT $1;

-- name: orders_belong_to_their_group
-- Every seat is in a group of its own deal and lane, and knows that group's capacity.
SELECT o.id, format('group %s, lane %s:%s', o.group_id, o.deal_id, o.lane_no) AS detail
FROM every_order o LEFT JOIN groups g ON g.id = o.group_id
WHERE o.group_id IS NOT NULL
    AND (
        g.id IS NULL OR g.deal_id <> o.deal_id OR g.lane_no <> o.lane_no OR g.capacity <> o.group_capacity
        OR g.currency <> o.currency
    )
LIMIT $1;

-- name: lanes_count_what_is_sold
-- A lane's sold units are the units of its live orders.
SELECT format('%s:%s', l.deal_id, l.lane_no) AS id, format('%s counted, %s in orders', l.sold_units, o.units) AS detail
FROM lanes l
CROSS JOIN LATERAL (
    SELECT coalesce(sum(quantity), 0) AS units FROM every_order
    WHERE deal_id = l.deal_id AND lane_no = l.lane_no AND order_is_live(status)
) o
WHERE l.sold_units <> o.units
LIMIT $1;

-- name: lanes_add_up_to_the_stock
-- The lanes' stock adds up to the deal's, and no lane sold more than it has.
SELECT d.id, format('deal has %s, lanes have %s and sold %s', d.stock_units, l.stock_units, l.sold_units) AS detail
FROM deals d
CROSS JOIN LATERAL (
    SELECT sum(stock_units) AS stock_units, sum(sold_units) AS sold_units, bool_or(sold_units > stock_units) AS oversold
    FROM lanes WHERE deal_id = d.id
) l
WHERE l.stock_units IS DISTINCT FROM d.stock_units OR l.oversold
LIMIT $1;

-- name: headcounts_are_authorised_members
-- A group's headcount is the number of its members whose payment was authorised when it was last counted.
SELECT g.id, format('%s counted, %s members', coalesce(g.final_headcount, p.headcount), coalesce(m.members, 0)) AS detail
FROM groups g
LEFT JOIN group_progress p ON p.group_id = g.id
LEFT JOIN (
    SELECT group_id, count(*) AS members
    FROM every_order
    WHERE status IN ('authorised', 'captured', 'partially_refunded', 'refunded', 'released', 'payment_failed')
    GROUP BY group_id
) m ON m.group_id = g.id
WHERE p.group_id IS NULL OR coalesce(m.members, 0) <> coalesce(g.final_headcount, p.headcount)
LIMIT $1;

-- name: groups_close_in_time
-- No group closed before its deadline unless it was full, and only ended groups are no longer watched.
SELECT g.id, format('%s, closed %s, deadline %s', g.status, g.closing_at, g.deadline) AS detail
FROM groups g LEFT JOIN group_progress p ON p.group_id = g.id
WHERE (g.closing_at < g.deadline AND coalesce(g.final_headcount, p.headcount) < g.capacity)
    OR (p.check_at IS NULL) <> (g.status IN ('succeeded', 'failed'))
LIMIT $1;

-- name: overdue_groups
-- Groups that should have gone on over a minute ago: no worker is running, or none can settle them. The longest first.
SELECT g.id, concat(format('%s since %s', g.status, p.check_at), ', at last: ' || s.failure) AS detail
FROM group_progress p
JOIN groups g ON g.id = p.group_id
LEFT JOIN setbacks s ON s.sweep = 'lifecycle' AND s.row_id = g.id
WHERE p.check_at < app_now() - interval '1 minute'
ORDER BY p.check_at
LIMIT $1;
