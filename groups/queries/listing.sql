-- Which lanes have groups to list, and the groups of lanes that Redis does not hold.

-- name: listed_lanes
-- Reads the lanes whose groups may be joined now: none of a deal that has not begun, is paused, or is sold
-- out.
SELECT l.lane_no, l.epoch
FROM lanes l JOIN deals d ON d.id = l.deal_id
WHERE d.id = $1 AND d.status <> 'paused' AND d.starts_at <= app_now()
    AND EXISTS (SELECT FROM lanes s WHERE s.deal_id = d.id AND s.stock_units > s.sold_units)
ORDER BY l.lane_no;

-- name: groups_of_cold_lanes
-- Lists groups with room in lanes $2 from behind ($3 seats, $4 id), of each lane's $6 groups that have the most time left.
WITH looked_at AS MATERIALIZED (
    SELECT g.id, g.capacity, (
        SELECT p.headcount + (
            -- As in select_groups, only by the index of this group's members.
            SELECT count(*) FROM orders o
            WHERE o.group_id = g.id AND o.status IN ('held', 'authorised') AND o.status >= 'held'
        )
        FROM group_progress p WHERE p.group_id = g.id
    ) AS taken
    FROM unnest($2::integer[]) AS cold (lane_no)
    CROSS JOIN LATERAL (
        SELECT id, capacity FROM groups
        WHERE deal_id = $1 AND lane_no = cold.lane_no AND status = 'open' AND deadline > app_now()
        ORDER BY deadline DESC
        LIMIT $6
    ) g
)
SELECT id, taken
FROM looked_at
WHERE taken < capacity AND (taken, id COLLATE "C") < ($3::bigint, $4::text)
ORDER BY taken DESC, id COLLATE "C" DESC
LIMIT $5;
