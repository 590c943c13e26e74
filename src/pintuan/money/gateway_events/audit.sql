-- The questions of `pintuan audit` about the payment gateway's events. Every statement answers (id, detail)
-- of each fault, at most $1 rows.

-- name: gateway_surprises
-- What the gateway told of payments that nobody here had asked for, newest first.
SELECT coalesce(e.reference, e.event_id) AS id, format('%s: %s (%s)', e.kind, e.surprise, e.event_id) AS detail
FROM gateway_events e
WHERE e.surprise IS NOT NULL
ORDER BY e.received_at DESC
LIMIT $1;
