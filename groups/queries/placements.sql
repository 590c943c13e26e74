-- name: record_placements
-- Makes a batch of placed seats durable in one statement: a row for each order it wrote, then one for each group (no id).
-- A seat it returns no order for is not recorded, and not yet refused.
-- Rows that earlier parts wrote are looked up by hashing (IN … IS TRUE): a join with them is planned for one
-- row and runs once for each.
WITH clock AS MATERIALIZED (
    SELECT app_now() AS moment, app_now() + $17::bigint * interval '1 millisecond' AS hold_until
),
input AS MATERIALIZED (
    SELECT *
    FROM unnest(
        $1::text[], $2::bytea[], $3::bytea[], $4::text[], $5::integer[], $6::bigint[], $7::text[], $8::integer[],
        $9::text[], $10::integer[], $11::text[], $12::text[], $13::jsonb[], $14::text[], $15::text[], $16::boolean[]
    ) AS t (
        order_id, request_id, body_digest, deal_id, lane_no, epoch, group_id, seat,
        buyer_id, quantity, payment_method, invite_code, ship_to, share_code, leader_order_id, auto
    )
),
terms AS MATERIALIZED (
    SELECT d.*, c.*, d.starts_at <= c.moment AND coalesce(d.ends_at > c.moment, true) AS is_running
    FROM clock c CROSS JOIN deals d
    WHERE d.id = ANY(ARRAY(SELECT deal_id FROM input))
),
opened AS (
    INSERT INTO groups (
        id, deal_id, lane_no, share_code, leader_order_id, capacity, min_headcount, tier_headcounts,
        tier_prices_minor, currency, opened_at, deadline
    )
    SELECT DISTINCT ON (i.group_id)
        i.group_id, i.deal_id, i.lane_no, i.share_code, i.leader_order_id, d.max_headcount, d.min_headcount,
        d.tier_headcounts, d.tier_prices_minor, d.currency, d.moment,
        least(d.moment + d.group_ttl_ms * interval '1 millisecond', d.ends_at)
    FROM input i JOIN terms d ON d.id = i.deal_id
    WHERE i.share_code IS NOT NULL AND d.is_running
    ORDER BY i.group_id
    ON CONFLICT (id) DO NOTHING
    RETURNING
        id, deal_id, share_code, capacity, min_headcount, tier_headcounts, tier_prices_minor, currency, opened_at,
        deadline
),
watched AS (
    INSERT INTO group_progress (group_id, capacity, check_at)
    SELECT id, capacity, deadline FROM opened
),
standing AS (
    SELECT
        g.id, g.deal_id, g.share_code, g.capacity, g.min_headcount, g.tier_headcounts, g.tier_prices_minor,
        g.currency, g.opened_at, g.deadline, p.headcount
    -- A join that waited while an authorised member left would promise a price from before: it must look again.
    FROM groups g
    JOIN groups seen ON seen.id = g.id AND seen.departures = g.departures
    JOIN group_progress p ON p.group_id = g.id
    -- Groups are read by their keys. An index of open groups fits the bare condition, and a plan made while
    -- few were open would read them all for ever.
    WHERE g.id = ANY(ARRAY(SELECT group_id FROM input)) AND g.status || '' = 'open'
        AND g.deadline > (SELECT moment FROM clock)
    ORDER BY g.id
    FOR SHARE OF g
),
joinable AS (
    SELECT *, 0 AS headcount FROM opened UNION ALL SELECT * FROM standing
),
keyed AS (
    INSERT INTO idempotency_keys AS k (request_id, body_digest, order_id, created_at)
    SELECT i.request_id, i.body_digest, i.order_id, d.moment
    FROM input i
    JOIN terms d ON d.id = i.deal_id
    LEFT JOIN joinable j ON j.id = i.group_id
    WHERE CASE WHEN i.group_id IS NULL THEN d.is_running ELSE j.id IS NOT NULL END
    -- A buyer belongs to one lane until stock runs low; only then can auto-placement meet an older seat elsewhere.
    AND CASE WHEN i.auto AND d.lane_count > 1 THEN (
        SELECT o.id FROM orders o JOIN groups g ON g.id = o.group_id
        WHERE o.buyer_id = i.buyer_id AND o.deal_id = i.deal_id AND order_is_live(o.status) AND g.status = 'open'
        LIMIT 1
    ) IS NULL ELSE true END
    ORDER BY i.request_id
    ON CONFLICT (request_id) DO UPDATE
    SET body_digest = excluded.body_digest, order_id = excluded.order_id, abandoned = false,
        created_at = excluded.created_at
    WHERE k.abandoned AND k.order_id <> excluded.order_id
    RETURNING request_id
),
counted AS (
    INSERT INTO deal_buyers AS b (deal_id, buyer_id, units)
    SELECT i.deal_id, i.buyer_id, i.quantity
    FROM input i JOIN terms d ON d.id = i.deal_id
    WHERE (i.request_id IN (SELECT request_id FROM keyed)) IS TRUE AND i.quantity <= d.per_buyer_units
    ORDER BY i.deal_id, i.buyer_id
    ON CONFLICT (deal_id, buyer_id) DO UPDATE
    SET units = b.units + excluded.units
    WHERE b.units + excluded.units <= (SELECT d.per_buyer_units FROM deals d WHERE d.id = b.deal_id)
    RETURNING deal_id, buyer_id
),
recorded AS (
    INSERT INTO orders (
        id, deal_id, lane_no, group_id, seat, group_capacity, buyer_id, quantity, currency, promised_unit_minor,
        payment_method, invite_code, ship_to, request_id, hold_until, created_at, updated_at
    )
    SELECT
        i.order_id, i.deal_id, i.lane_no, i.group_id, i.seat, j.capacity, i.buyer_id, i.quantity, d.currency,
        CASE
            WHEN i.group_id IS NULL THEN d.list_price_minor
            ELSE unit_price_at(j.tier_headcounts, j.tier_prices_minor, j.min_headcount, j.headcount + 1)
        END,
        i.payment_method, i.invite_code, i.ship_to, i.request_id, d.hold_until, d.moment, d.moment
    FROM input i
    JOIN terms d ON d.id = i.deal_id
    LEFT JOIN joinable j ON j.id = i.group_id
    WHERE (i.request_id IN (SELECT request_id FROM keyed)) IS TRUE
        AND ((i.deal_id, i.buyer_id) IN (SELECT deal_id, buyer_id FROM counted)) IS TRUE
    ORDER BY i.order_id
    RETURNING id, deal_id, lane_no, group_id, quantity, currency, promised_unit_minor, created_at
),
-- In their order, for a statement may hold seats of several lanes.
locked AS MATERIALIZED (
    SELECT l.deal_id, l.lane_no
    FROM lanes l
    WHERE (l.deal_id, l.lane_no) IN (SELECT deal_id, lane_no FROM recorded)
    ORDER BY l.deal_id, l.lane_no
    FOR NO KEY UPDATE
),
moved AS (
    UPDATE lanes l
    SET sold_units = l.sold_units + fenced_units(s.units, l.epoch, s.epoch)
    FROM (
        SELECT r.deal_id, r.lane_no, i.epoch, sum(r.quantity) AS units
        FROM recorded r JOIN input i ON i.order_id = r.id
        GROUP BY r.deal_id, r.lane_no, i.epoch
    ) s JOIN locked USING (deal_id, lane_no)
    WHERE l.deal_id = s.deal_id AND l.lane_no = s.lane_no
),
due AS (
    INSERT INTO payment_operations (order_id, kind, amount_minor, currency, due_at, created_at)
    SELECT r.id, 'authorise', r.promised_unit_minor * r.quantity, r.currency, r.created_at, r.created_at
    FROM recorded r
)
SELECT
    r.id, r.promised_unit_minor, r.currency, r.created_at, r.group_id, NULL AS deal_id, NULL AS share_code,
    NULL AS capacity, NULL AS min_headcount, NULL AS tier_headcounts, NULL AS tier_prices_minor, NULL AS opened_at,
    NULL AS deadline, NULL AS headcount
FROM recorded r
UNION ALL
SELECT
    NULL, NULL, j.currency, NULL, j.id, j.deal_id, j.share_code, j.capacity, j.min_headcount, j.tier_headcounts,
    j.tier_prices_minor, j.opened_at, j.deadline, j.headcount
FROM joinable j;

-- name: classify_placements
-- Says, in a snapshot of its own, why each placed seat was not recorded.
SELECT
    i.order_id,
    k.order_id AS recorded_order_id,
    (extract(epoch FROM app_now() - k.created_at) * 1000)::bigint AS recorded_ms_ago,
    k.body_digest IS NOT DISTINCT FROM i.body_digest AS same_body,
    coalesce(k.abandoned, false) AS abandoned,
    o.id IS NOT NULL AS order_exists,
    g.status AS group_status,
    g.final_headcount >= g.capacity AS filled,
    g.deadline <= app_now() AS overdue,
    g.deadline,
    d.starts_at > app_now() OR coalesce(d.ends_at <= app_now(), false) AS outside_window,
    elsewhere.id AS standing_order_id
FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::boolean[]) AS i (
    order_id, request_id, body_digest, group_id, deal_id, buyer_id, auto
)
LEFT JOIN deals d ON d.id = i.deal_id
LEFT JOIN idempotency_keys k ON k.request_id = i.request_id
LEFT JOIN orders o ON o.id = k.order_id
LEFT JOIN groups g ON g.id = i.group_id
-- On a deal of several lanes, auto-placement may have met an older seat in any of them.
LEFT JOIN LATERAL (
    SELECT live.id
    FROM orders live JOIN groups joined ON joined.id = live.group_id
    WHERE i.auto AND d.lane_count > 1 AND live.buyer_id = i.buyer_id AND live.deal_id = i.deal_id
        AND live.id <> i.order_id AND order_is_live(live.status) AND joined.status = 'open'
    LIMIT 1
) elsewhere ON true;

-- name: drop_unused_keys
-- Takes back keys whose order was refused after the key was written.
DELETE FROM idempotency_keys k
USING unnest($1::bytea[], $2::text[]) AS i (request_id, order_id)
WHERE k.request_id = i.request_id AND k.order_id = i.order_id AND NOT k.abandoned
    AND NOT EXISTS (SELECT FROM orders o WHERE o.id = k.order_id);

-- name: lock_unfounded_groups
-- Locks, in id order, groups whose founder was refused, against joins that are about to be recorded.
SELECT id FROM groups WHERE id = ANY($1::text[]) AND status = 'open' ORDER BY id FOR UPDATE;

-- name: drop_unfounded_groups
-- Takes back those of them that hold no order at all, read after they were locked.
WITH unfounded AS (
    DELETE FROM group_progress p
    USING groups g
    WHERE p.group_id = ANY($1::text[]) AND g.id = p.group_id AND g.status = 'open'
        AND NOT EXISTS (
            SELECT FROM orders o
            WHERE o.deal_id = g.deal_id AND o.lane_no = g.lane_no AND o.created_at >= g.opened_at
                AND o.group_id = g.id
        )
    RETURNING p.group_id
)
DELETE FROM groups WHERE id IN (SELECT group_id FROM unfounded);

-- name: recorded_request
-- Looks up what a request recorded: its order and the digest of its body.
SELECT k.order_id, k.body_digest, k.abandoned FROM idempotency_keys k WHERE k.request_id = $1;

-- name: abandon_requests
-- Writes a tombstone for each seat whose request never was recorded, so that its late insert must fail; returns those.
INSERT INTO idempotency_keys AS k (request_id, body_digest, order_id, abandoned)
SELECT i.request_id, '\x', i.order_id, true
FROM unnest($1::bytea[], $2::text[]) AS i (request_id, order_id)
ORDER BY i.request_id
-- A request whose retry was orphaned too: the newer seat is the one that may still be on its way.
ON CONFLICT (request_id) DO UPDATE SET order_id = excluded.order_id, created_at = excluded.created_at
WHERE k.abandoned
RETURNING k.order_id;

-- name: orphan_verdicts
-- Says for each watched seat whether its order is recorded, after the tombstones were written. Says also
-- which order its request is remembered by, and how long ago that was.
SELECT
    i.order_id, o.id IS NOT NULL AS recorded, encode(i.request_id, 'hex') AS request_id,
    k.order_id AS recorded_order_id, (extract(epoch FROM app_now() - k.created_at) * 1000)::bigint AS recorded_ms_ago
FROM unnest($1::bytea[], $2::text[]) AS i (request_id, order_id)
LEFT JOIN orders o ON o.id = i.order_id
-- By the key, however few keys there were when the plan was made.
LEFT JOIN LATERAL (
    SELECT * FROM idempotency_keys WHERE request_id = i.request_id AND NOT abandoned LIMIT 1
) k ON true;

-- name: expired_keys
-- Lists up to $2 keys older than $1 milliseconds, in hexadecimal digits.
SELECT encode(k.request_id, 'hex') AS request_id FROM idempotency_keys k
WHERE k.created_at < app_now() - $1::bigint * interval '1 millisecond'
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'keys' AND s.row_id = encode(k.request_id, 'hex'))
LIMIT $2;

-- name: purge_keys
-- Forgets those of keys $2, in hexadecimal digits, that are older than $1 milliseconds.
DELETE FROM idempotency_keys
WHERE request_id = ANY(ARRAY(SELECT decode(k, 'hex') FROM unnest($2::text[]) AS k))
    AND created_at < app_now() - $1::bigint * interval '1 millisecond';

-- name: group_verdict
-- Says how a group stands, for a lane that no longer keeps it, and whether the buyer has a live seat in it.
SELECT
    g.status, g.deadline <= app_now() AS overdue, g.final_headcount >= g.capacity AS filled,
    (
        SELECT o.id FROM every_order o
        WHERE o.group_id = g.id AND o.buyer_id = $2
            AND o.status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
    ) AS order_id
FROM groups g
WHERE g.id = $1;
