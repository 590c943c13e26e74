-- The questions of `pintuan audit` about no noun alone: the lists it goes through, and the rows that sweeps
-- fail on.

-- name: settled_groups
-- Pages through settled groups with all that the settled price follows from, from behind $1.
SELECT id, status, min_headcount, tier_headcounts, tier_prices_minor, final_headcount, final_unit_price_minor
FROM groups
WHERE settled_at IS NOT NULL AND id > $1
ORDER BY id
LIMIT $2;

-- name: rows_set_aside
-- Rows that a sweep failed on so often that it tries them once an hour, the longest first.
SELECT concat(s.sweep, ' ', s.row_id) AS id,
    format('%s times since %s, at last: %s', s.attempts, s.first_at, s.failure) AS detail
FROM setbacks s
WHERE s.set_aside_at IS NOT NULL
ORDER BY s.set_aside_at, s.sweep, s.row_id
LIMIT $1;

-- name: unheard_events
-- Nouns that have not heard for a minute what happened: no worker is running, or none knows the noun. The longest first.
SELECT e.noun AS id, format('%s events since %s', count(*), min(e.happened_at)) AS detail
FROM events e
WHERE e.happened_at < app_now() - interval '1 minute'
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = e.noun || ' events' AND s.row_id = e.id::text)
GROUP BY e.noun
ORDER BY min(e.happened_at)
LIMIT $1;

-- name: payments_at_rest
-- Reads the payments of one gateway ($2: the sandbox or not) that nothing is under way for, the $1 newest or that of $3.
SELECT
    a.order_id, a.amount_minor AS authorised_minor, a.currency,
    CASE WHEN c.state = 'succeeded' THEN 'captured' WHEN v.state = 'succeeded' THEN 'voided' ELSE 'authorised' END AS status,
    CASE WHEN c.state = 'succeeded' THEN c.amount_minor ELSE 0 END AS captured_minor,
    ARRAY(
        SELECT f.operation_no FROM every_operation f
        WHERE f.order_id = a.order_id AND f.kind = 'refund' AND f.state = 'succeeded'
    ) AS refund_numbers
FROM every_operation a
LEFT JOIN every_operation c ON c.order_id = a.order_id AND c.kind = 'capture'
LEFT JOIN every_operation v ON v.order_id = a.order_id AND v.kind = 'void'
WHERE a.kind = 'authorise' AND a.state = 'succeeded' AND starts_with(a.gateway_ref, 'sandbox:') = $2
    AND ($3::text IS NULL OR a.order_id = $3)
    AND NOT EXISTS (
        -- An open operation may have happened there already, and the outcome of an abandoned one is unknown.
        SELECT FROM every_operation o
        WHERE o.order_id = a.order_id AND (o.ended_at IS NULL OR o.state = 'failed')
    )
ORDER BY a.ended_at DESC
LIMIT $1;

-- name: watched_lanes
-- Pages through the lanes whose seats may need a look: their deal runs, did so an hour ago, or has open groups.
SELECT l.deal_id, l.lane_no, l.epoch
FROM lanes l JOIN deals d ON d.id = l.deal_id
WHERE (l.deal_id, l.lane_no) > ($1, $2)
    AND (
        (d.status <> 'ended' AND coalesce(d.ends_at > app_now() - interval '1 hour', true))
        OR EXISTS (SELECT FROM groups g WHERE g.deal_id = l.deal_id AND g.status = 'open')
    )
ORDER BY l.deal_id, l.lane_no
LIMIT $3;
