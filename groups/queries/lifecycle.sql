-- name: due_groups
-- Lists groups a worker must look at now, the longest due first; those that failed are tried elsewhere.
SELECT p.group_id FROM group_progress p
WHERE p.check_at <= app_now()
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'lifecycle' AND s.row_id = p.group_id)
ORDER BY p.check_at LIMIT $1;

-- name: try_group_lock
-- Tries for the right to advance a group, which only saves two workers from doing the same work.
SELECT pg_try_advisory_xact_lock(hashtextextended('advance ' || $1, 0));

-- name: lock_group
-- Locks a group against joins, cancels and other settlers; later statements read what those committed.
SELECT
    id, deal_id, lane_no, status, capacity, min_headcount, tier_headcounts, tier_prices_minor,
    deadline <= app_now() AS overdue, settle_by <= app_now() AS grace_over,
    settled_at + $2::bigint * interval '1 millisecond' <= app_now() AS escalation_due
FROM groups
WHERE id = $1
FOR NO KEY UPDATE;

-- name: group_headcount
-- Reads the headcount that authorised members make.
SELECT headcount FROM group_progress WHERE group_id = $1;

-- name: close_group
-- Ends joining; held seats have $2 milliseconds left to resolve.
UPDATE groups
SET status = 'closing', closing_at = app_now(), settle_by = app_now() + $2::bigint * interval '1 millisecond'
WHERE id = $1;

-- name: watch_open
-- Looks at an open group that is not full again at its deadline, or when it is full.
UPDATE group_progress p SET check_at = g.deadline
FROM groups g
-- Read again under the row's lock: an authorisation that fills the group may have been committed meanwhile.
WHERE p.group_id = $1 AND g.id = p.group_id AND p.headcount < p.capacity;

-- name: watch_closing
-- Looks at a closing group again when its grace is over, then after half the time it was watched, within $2 and $3
-- milliseconds, or at the next change of a member. At most $3 ms since the last look count as watched.
UPDATE group_progress p
SET restless = true, watched_at = app_now(), watched_ms = w.ms,
    check_at = greatest(
        g.settle_by,
        app_now() + least(greatest(w.ms / 2, $2::bigint), $3::bigint) * interval '1 millisecond'
    )
FROM groups g
CROSS JOIN LATERAL (
    SELECT
        b.watched_ms + CASE WHEN g.settle_by <= app_now() THEN least(
            (extract(epoch FROM app_now() - coalesce(b.watched_at, app_now())) * 1000)::bigint, $3::bigint
        ) ELSE 0 END AS ms
    FROM group_progress b
    WHERE b.group_id = g.id
) w
WHERE p.group_id = $1 AND g.id = p.group_id;

-- name: watch_settling
-- Looks at a settling group again after half its age, within $2 and $3 milliseconds, or at the next change of a member.
UPDATE group_progress p
SET restless = true,
    check_at = app_now() + least(greatest((app_now() - g.settled_at) / 2, $2 * interval '1 millisecond'),
        $3 * interval '1 millisecond')
FROM groups g
WHERE p.group_id = $1 AND g.id = p.group_id;

-- name: unwatch_group
-- Stops looking at a group that has ended.
UPDATE group_progress SET restless = false, check_at = NULL WHERE group_id = $1;

-- name: lock_members
-- Locks the members whose payment is held or authorised, in id order.
SELECT id FROM orders
WHERE group_id = $1 AND status IN ('held', 'authorised')
ORDER BY id
FOR UPDATE;

-- name: count_members
-- Counts the members whose payment is authorised, those still held, and of these the ones to wait for: an attempt at
-- the payment is due that nobody has begun, or the first one is less than $2 ms old. Says since when a look at the
-- group was due, and for how long workers have watched it wait.
SELECT
    count(*) FILTER (WHERE o.status = 'authorised') AS authorised,
    count(*) FILTER (WHERE o.status = 'held') AS held,
    count(*) FILTER (
        WHERE attempt_is_due(a.attempts, a.due_at, a.ended_at)
            OR (
                a.ended_at IS NULL AND tried_since(a.attempts, a.first_tried_at, a.created_at)
                    > app_now() - $2::bigint * interval '1 millisecond'
            )
    ) AS awaited,
    (
        SELECT greatest(extract(epoch FROM app_now() - coalesce(check_at, app_now())), 0)
        FROM group_progress WHERE group_id = $1
    )::float8 AS late_s,
    (SELECT watched_ms FROM group_progress WHERE group_id = $1) AS watched_ms
FROM orders o
-- One look-up by key for each member that is held, whatever the planner believes about the tables' sizes.
LEFT JOIN LATERAL (
    SELECT p.attempts, p.due_at, p.ended_at, p.first_tried_at, p.created_at FROM payment_operations p
    WHERE o.status = 'held' AND p.order_id = o.id AND p.kind = 'authorise' AND p.operation_no = 0
    LIMIT 1
) a ON true
WHERE o.group_id = $1 AND o.status IN ('held', 'authorised');

-- name: exclude_held
-- Leaves out the members whose payment did not resolve in time.
UPDATE orders SET status = 'expired', updated_at = app_now() WHERE group_id = $1 AND status = 'held';

-- name: charge_members
-- Fixes what each authorised member pays, the promise or the settled price, and makes the captures due.
WITH priced AS (
    UPDATE orders SET final_unit_minor = least(promised_unit_minor, $2), updated_at = app_now()
    WHERE group_id = $1 AND status = 'authorised'
    RETURNING id, final_unit_minor, quantity, currency
)
INSERT INTO payment_operations (order_id, kind, amount_minor, currency, due_at, created_at)
SELECT id, 'capture', final_unit_minor * quantity, currency, app_now(), app_now() FROM priced ORDER BY id;

-- name: release_members
-- Lets every member of a failed group go, those still held included, and makes the voids due.
WITH before AS (
    SELECT id, status FROM orders WHERE group_id = $1 AND status IN ('held', 'authorised')
),
let_go AS (
    UPDATE orders o
    SET status = CASE o.status WHEN 'held' THEN 'expired' ELSE 'released' END, updated_at = app_now()
    FROM before b
    WHERE o.id = b.id
    RETURNING o.id, b.status, o.promised_unit_minor, o.quantity, o.currency
)
INSERT INTO payment_operations (order_id, kind, amount_minor, currency, due_at, created_at)
SELECT id, 'void', promised_unit_minor * quantity, currency, app_now(), app_now()
FROM let_go
WHERE status = 'authorised'
ORDER BY id;

-- name: settle_group
-- Fixes headcount and unit price, once.
UPDATE groups
SET status = 'settling', settled_at = app_now(), final_headcount = $2, final_unit_price_minor = $3
WHERE id = $1;

-- name: has_open_operations
-- Says whether any capture or void of a group's settlement has not ended.
SELECT EXISTS (
    SELECT FROM orders o
    -- One look-up by key for each member until the first is found, however many payments of other groups are
    -- open.
    CROSS JOIN LATERAL (
        SELECT FROM payment_operations p
        WHERE p.order_id = o.id AND p.kind = 'capture' AND p.state IN ('due', 'in_flight', 'unknown')
        LIMIT 1
    ) open_capture
    WHERE o.group_id = $1 AND o.status = 'authorised'
) OR EXISTS (
    SELECT FROM orders o
    CROSS JOIN LATERAL (
        SELECT FROM payment_operations p
        WHERE p.order_id = o.id AND p.kind = 'void' AND p.state IN ('due', 'in_flight', 'unknown')
        LIMIT 1
    ) open_void
    WHERE o.group_id = $1 AND o.status = 'released'
);

-- name: end_group
-- Gives a group its terminal state.
UPDATE groups
SET status = CASE WHEN final_headcount >= min_headcount THEN 'succeeded' ELSE 'failed' END, ended_at = app_now()
WHERE id = $1
RETURNING status;

-- name: due_unpaid
-- Lists up to $1 orders whose hold ran out before their payment was authorised, the longest ago first.
SELECT o.id FROM orders o
WHERE o.status = 'held' AND o.hold_until <= app_now()
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'expiry' AND s.row_id = o.id)
ORDER BY o.hold_until LIMIT $1;

-- name: expire_unpaid
-- Looks at those of orders $1 whose hold seems over, and which nobody is paying for at this moment. An order
-- whose payment was first tried $2 ms ago expires, unless an attempt is due that nobody has begun. Other
-- orders get more time: $2 ms from the first attempt, or another look after $3 ms when an attempt is due, or
-- after $2 ms when it is the first.
WITH seems_over AS (
    SELECT id FROM orders
    WHERE id = ANY($1::text[]) AND status = 'held' AND hold_until <= app_now()
    ORDER BY id
    FOR UPDATE SKIP LOCKED
),
looked_at AS (
    SELECT
        s.id,
        CASE
            WHEN a.attempts = 0 THEN app_now() + $2::bigint * interval '1 millisecond'
            WHEN attempt_is_due(a.attempts, a.due_at, a.ended_at) THEN app_now() + $3::bigint * interval '1 millisecond'
            WHEN a.ended_at IS NULL
            THEN tried_since(a.attempts, a.first_tried_at, a.created_at) + $2::bigint * interval '1 millisecond'
        END AS hold_until
    FROM seems_over s
    -- One look-up by key for each, whatever the planner believes about the tables' sizes.
    LEFT JOIN LATERAL (
        SELECT p.attempts, p.due_at, p.ended_at, p.first_tried_at, p.created_at FROM payment_operations p
        WHERE p.order_id = s.id AND p.kind = 'authorise' AND p.operation_no = 0
        LIMIT 1
    ) a ON true
)
UPDATE orders o
SET status = CASE WHEN l.hold_until > app_now() THEN 'held' ELSE 'expired' END,
    hold_until = CASE WHEN l.hold_until > app_now() THEN l.hold_until ELSE o.hold_until END,
    updated_at = CASE WHEN l.hold_until > app_now() THEN o.updated_at ELSE app_now() END
FROM looked_at l
WHERE o.id = l.id AND o.status = 'held'
RETURNING o.group_id, o.status;

-- name: due_seat_releases
-- Lists up to $1 releases that are due, the longest first.
SELECT r.order_id FROM seat_releases r
WHERE r.due_at <= app_now() AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'seats' AND s.row_id = r.order_id)
ORDER BY r.due_at LIMIT $1;

-- name: take_seat_releases
-- Takes the due ones of releases $1, lane by lane; says which are older than $2 ms, and which groups are
-- closed. A release whose order or lane is gone is of no use, and has no epoch.
SELECT
    r.order_id, r.deal_id, r.lane_no, r.request_id, r.retired, CASE WHEN o.id IS NOT NULL THEN l.epoch END AS epoch,
    r.created_at < app_now() - $2::bigint * interval '1 millisecond' AS outlived,
    g.id AS closed_group_id, p.headcount >= g.capacity AS filled
FROM (
    SELECT * FROM seat_releases
    WHERE order_id = ANY($1::text[]) AND due_at <= app_now()
    ORDER BY due_at
    FOR UPDATE SKIP LOCKED
) r
LEFT JOIN lanes l ON l.deal_id = r.deal_id AND l.lane_no = r.lane_no
LEFT JOIN orders o ON o.id = r.order_id
LEFT JOIN groups g ON g.id = o.group_id AND g.status <> 'open'
LEFT JOIN group_progress p ON p.group_id = g.id
ORDER BY r.deal_id, r.lane_no;

-- name: defer_seat_releases
-- Puts releases off by $2 milliseconds, so that a lane that cannot take them delays no other.
UPDATE seat_releases SET due_at = app_now() + $2::bigint * interval '1 millisecond'
WHERE order_id = ANY($1::text[]);

-- name: drop_seat_releases
-- Forgets releases that Redis was told of.
DELETE FROM seat_releases WHERE order_id = ANY($1::text[]);

-- name: lock_leaderless_groups
-- Locks, in id order, the open groups of ended orders whose leader has ended, or is among $1 and was never
-- recorded.
SELECT g.id
FROM groups g LEFT JOIN orders leader ON leader.id = g.leader_order_id
WHERE g.status = 'open'
    AND g.id IN (
        SELECT o.group_id FROM orders o WHERE o.id = ANY($1::text[])
        UNION ALL
        SELECT unnest($2::text[])
    )
    AND (NOT order_is_live(leader.status) OR (leader.id IS NULL AND g.leader_order_id = ANY($1::text[])))
ORDER BY g.id
FOR NO KEY UPDATE OF g;

-- name: pass_lead
-- Gives the lead of those groups to the lowest live seat, read after they were locked.
UPDATE groups g
SET leader_order_id = heir.id
FROM (
    SELECT DISTINCT ON (o.group_id) o.group_id, o.id
    FROM orders o JOIN groups led ON led.id = o.group_id
    LEFT JOIN orders leader ON leader.id = led.leader_order_id
    WHERE order_is_live(o.status) AND led.status = 'open'
        AND led.id IN (
            SELECT ended.group_id FROM orders ended WHERE ended.id = ANY($1::text[])
            UNION ALL
            SELECT unnest($2::text[])
        )
        AND (NOT order_is_live(leader.status) OR (leader.id IS NULL AND led.leader_order_id = ANY($1::text[])))
    ORDER BY o.group_id, o.seat
) heir
WHERE g.id = heir.group_id;

-- name: order_to_cancel
-- Finds the buyer's order, without a lock: its group must be locked first.
SELECT group_id FROM every_order WHERE id = $1 AND buyer_id = $2;

-- name: lock_group_of_order
-- Locks a group against joins and settlers before one of its orders is locked for cancelling.
SELECT id FROM groups WHERE id = $1 FOR NO KEY UPDATE;

-- name: lock_order
-- Locks an order for cancelling.
SELECT id FROM orders WHERE id = $1 FOR UPDATE;

-- name: record_key
-- Records a request that changes an order; returns nothing when the key is known.
INSERT INTO idempotency_keys (request_id, body_digest, order_id)
VALUES ($1, $2, $3)
ON CONFLICT (request_id) DO NOTHING
RETURNING request_id;

-- name: cancel_verdict
-- Reads an order and its group after both were locked, and whether leaving breaks another member's promise.
SELECT
    o.status, o.group_id,
    g.status AS group_status, g.deadline <= app_now() AS overdue,
    o.status = 'authorised' AND EXISTS (
        SELECT FROM orders other
        WHERE other.group_id = o.group_id AND other.id <> o.id AND other.status IN ('held', 'authorised')
            AND other.promised_unit_minor < unit_price_at(
                g.tier_headcounts, g.tier_prices_minor, g.min_headcount, p.headcount - 1
            )
    ) AS locked
FROM every_order o
LEFT JOIN groups g ON g.id = o.group_id
LEFT JOIN group_progress p ON p.group_id = o.group_id
WHERE o.id = $1;

-- name: cancel_order
-- Cancels an order and, where its payment was authorised, makes the void due.
WITH before AS (
    SELECT id, status FROM orders WHERE id = $1
),
cancelled AS (
    UPDATE orders SET status = 'cancelled', updated_at = app_now() WHERE id = $1
    RETURNING id, group_id, promised_unit_minor, quantity, currency
),
departed AS (
    UPDATE groups g SET departures = g.departures + 1
    FROM cancelled c JOIN before b ON b.id = c.id
    WHERE g.id = c.group_id AND b.status = 'authorised'
)
INSERT INTO payment_operations (order_id, kind, amount_minor, currency, due_at, created_at)
SELECT c.id, 'void', c.promised_unit_minor * c.quantity, c.currency, app_now(), app_now()
FROM cancelled c JOIN before b ON b.id = c.id
WHERE b.status = 'authorised';
