-- The payment gateway's events, and our knowledge of its payments.

-- name: find_order_of_event
-- Finds the order that an event is about: by our own reference, or else by the gateway's name of its payment.
SELECT p.order_id
FROM every_operation p
WHERE p.order_id = $1 AND p.kind = 'authorise'
UNION ALL
SELECT p.order_id
FROM every_operation p
WHERE $1::text IS NULL AND p.gateway_ref = $2 AND p.kind = 'authorise' AND starts_with(p.gateway_ref, 'pi_')
LIMIT 1;

-- name: read_operation_states
-- Reads the payment operations of an order: our requests to the gateway, and their outcomes.
SELECT kind, operation_no, state FROM every_operation WHERE order_id = $1;

-- name: record_gateway_event
-- Keeps an event, and answers true unless it was kept before.
INSERT INTO gateway_events (gateway, event_id, kind, reference, payment_ref, surprise)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (gateway, event_id) DO NOTHING
RETURNING true;

-- name: make_operations_due
-- Makes an order's open or escalated payment operations due now; one that is being asked about is left alone.
-- An escalated operation is looked up before anything is sent: from $2 attempts on, the executor does so.
UPDATE payment_operations
SET due_at = app_now(), state = CASE WHEN escalated_at IS NULL THEN state ELSE 'unknown' END, ended_at = NULL,
    attempts = CASE WHEN escalated_at IS NULL THEN attempts ELSE greatest(attempts, $2) END, escalated_at = NULL
WHERE order_id = $1 AND (escalated_at IS NOT NULL OR (state IN ('due', 'unknown') AND due_at > app_now()));

-- name: gateway_events_to_purge
-- Lists up to $2 events older than $1 ms that surprised nobody; a gateway repeats one for days, not weeks.
SELECT e.gateway || ' ' || e.event_id AS id FROM gateway_events e
WHERE e.surprise IS NULL AND e.received_at < app_now() - $1::bigint * interval '1 millisecond'
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'gateway events' AND s.row_id = e.gateway || ' ' || e.event_id AND s.look_at > app_now())
ORDER BY e.received_at LIMIT $2;

-- name: purge_gateway_events
-- Forgets those of events $2 that are older than $1 ms.
DELETE FROM gateway_events e
USING unnest($2::text[]) AS u (id)
WHERE e.gateway = split_part(u.id, ' ', 1) AND e.event_id = substr(u.id, strpos(u.id, ' ') + 1)
    AND e.received_at < app_now() - $1::bigint * interval '1 millisecond';
