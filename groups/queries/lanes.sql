-- name: lane_count
-- Reads how many lanes a deal has, which never changes.
SELECT lane_count FROM deals WHERE id = $1;

-- name: lane_of_group
-- Finds the lane a group lives in, its epoch as of now, and how many lanes the deal has.
SELECT g.deal_id, g.lane_no, l.epoch, d.lane_count
FROM groups g JOIN lanes l ON l.deal_id = g.deal_id AND l.lane_no = g.lane_no JOIN deals d ON d.id = g.deal_id
WHERE g.id = $1;

-- name: lane_epoch
-- Reads a lane's epoch as of now.
SELECT epoch FROM lanes WHERE deal_id = $1 AND lane_no = $2;

-- name: raise_epoch
-- Raises a lane's epoch above its own and above one that was found in Redis.
UPDATE lanes SET epoch = greatest(epoch, $3) + 1 WHERE deal_id = $1 AND lane_no = $2 RETURNING epoch;

-- name: last_change
-- Reads the change of the deal that made the lane's epoch; nothing when a rebuild made it.
SELECT
    l.epoch, c.added_units, d.status, coalesce((extract(epoch FROM d.ends_at) * 1000)::bigint, 0) AS ends_ms
FROM lanes l
JOIN lane_changes c ON c.deal_id = l.deal_id AND c.lane_no = l.lane_no AND c.epoch = l.epoch
JOIN deals d ON d.id = l.deal_id
WHERE l.deal_id = $1 AND l.lane_no = $2;

-- name: try_rebuild_lock
-- Tries for the right to rebuild a lane, which only saves two processes from doing the same work.
SELECT pg_try_advisory_lock(hashtextextended('rebuild ' || $1 || ':' || $2::integer, 0));

-- name: release_rebuild_lock
-- Gives the right to rebuild a lane back.
SELECT pg_advisory_unlock(hashtextextended('rebuild ' || $1 || ':' || $2::integer, 0));

-- name: rebuild_terms
-- Reads the deal's terms, the lane's units left, and the time.
SELECT
    (extract(epoch FROM app_now()) * 1000)::bigint AS now_ms, d.status, d.max_headcount, d.group_ttl_ms, d.per_buyer_units, l.epoch,
    l.stock_units - l.sold_units AS units_left,
    (extract(epoch FROM d.starts_at) * 1000)::bigint AS starts_ms,
    coalesce((extract(epoch FROM d.ends_at) * 1000)::bigint, 0) AS ends_ms
FROM lanes l JOIN deals d ON d.id = l.deal_id
WHERE l.deal_id = $1 AND l.lane_no = $2;

-- name: rebuild_groups
-- Reads the lane's groups that have not ended, with how they closed if they did.
SELECT
    g.id, g.capacity, (extract(epoch FROM g.deadline) * 1000)::bigint AS deadline_ms,
    CASE WHEN g.status = 'open' THEN 'open' WHEN p.headcount >= g.capacity THEN 'full' ELSE 'closed' END AS status
FROM groups g JOIN group_progress p ON p.group_id = g.id
WHERE g.deal_id = $1 AND g.lane_no = $2 AND g.status IN ('open', 'closing', 'settling') AND p.check_at IS NOT NULL;

-- name: rebuild_seats
-- Reads the live orders whose seats Redis keeps: those held or authorised, in groups and solo. Orders of
-- ended groups are among them if their capture is escalated, or still open after minutes: it may yet fail and
-- give the units back.
SELECT o.id, o.group_id, o.seat, o.buyer_id, o.quantity, o.request_id
FROM orders o JOIN groups g ON g.id = o.group_id JOIN group_progress p ON p.group_id = g.id
WHERE g.deal_id = $1 AND g.lane_no = $2 AND g.status IN ('open', 'closing', 'settling') AND p.check_at IS NOT NULL
    AND o.status IN ('held', 'authorised')
UNION ALL
SELECT o.id, o.group_id, o.seat, o.buyer_id, o.quantity, o.request_id
FROM payment_operations c JOIN orders o ON o.id = c.order_id JOIN group_progress p ON p.group_id = o.group_id
WHERE (c.escalated_at IS NOT NULL
        OR (c.state IN ('due', 'in_flight', 'unknown') AND c.created_at < app_now() - interval '2 minutes'))
    AND c.kind = 'capture' AND o.deal_id = $1 AND o.lane_no = $2 AND o.status = 'authorised' AND p.check_at IS NULL
UNION ALL
SELECT o.id, NULL, NULL, o.buyer_id, o.quantity, o.request_id
FROM orders o
WHERE o.deal_id = $1 AND o.lane_no = $2 AND o.group_id IS NULL AND o.status IN ('held', 'authorised');

-- name: rebuild_buyers
-- Reads the live units of every buyer in the lane; units in other lanes end unseen, so Postgres alone adds
-- all of them up.
SELECT b.buyer_id, b.units::bigint
FROM deal_buyers b JOIN deals d ON d.id = b.deal_id
WHERE b.deal_id = $1 AND $2 = 0 AND d.lane_count = 1 AND b.units > 0
UNION ALL
SELECT o.buyer_id, sum(o.quantity)
FROM every_order o JOIN deals d ON d.id = o.deal_id
WHERE o.deal_id = $1 AND o.lane_no = $2 AND d.lane_count > 1 AND order_is_live(o.status)
GROUP BY o.buyer_id;

-- name: rebuild_requests
-- Reads the requests of the lane that are still remembered, with the milliseconds they have left.
SELECT k.request_id, k.order_id, ($3 - (extract(epoch FROM app_now() - k.created_at) * 1000))::bigint AS ttl_ms
FROM orders o
JOIN idempotency_keys k ON k.request_id = o.request_id AND k.order_id = o.id AND NOT k.abandoned
WHERE o.deal_id = $1 AND o.lane_no = $2 AND o.created_at > app_now() - $3::bigint * interval '1 millisecond';

-- name: lanes_to_reconcile
-- Pages through the watched lanes that were ever made warm, except failed ones, which are tried elsewhere.
SELECT l.deal_id, l.lane_no, l.epoch
FROM watched_lanes l
WHERE (l.deal_id, l.lane_no) > ($1, $2) AND l.epoch > 1
    AND NOT EXISTS (
        SELECT FROM setbacks s WHERE s.sweep = 'orphans' AND s.row_id = concat(l.deal_id, ':', l.lane_no)
    )
ORDER BY l.deal_id, l.lane_no
LIMIT $3;

-- name: allow_long_reads
-- Lets the statements of this transaction run for $1, because a whole lane is read at once.
SELECT set_config('statement_timeout', $1, true);
