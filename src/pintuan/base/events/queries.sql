-- Events that nouns have yet to hear.

-- name: unheard_events
-- Lists up to $3 events that noun $1 has yet to hear, the oldest first; those noted as setbacks of $2 are
-- tried elsewhere.
SELECT e.id::text AS id
FROM events e
WHERE e.noun = $1 AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = $2 AND s.row_id = e.id::text)
ORDER BY e.id
LIMIT $3;

-- name: take_events
-- Deletes those of events $2 that noun $1 has yet to hear and nobody else is taking, and answers them.
DELETE FROM events
WHERE noun = $1 AND id = ANY(ARRAY(
    SELECT e.id FROM events e WHERE e.noun = $1 AND e.id = ANY($2::bigint[]) ORDER BY e.id FOR UPDATE SKIP LOCKED
))
RETURNING id, type, object_id, deal_id, happened_at;

-- name: waited_ms
-- Says for how long the oldest event has waited that noun $1 has yet to hear.
SELECT greatest(extract(epoch FROM app_now() - happened_at) * 1000, 0)::bigint
FROM events
WHERE noun = $1
ORDER BY id
LIMIT 1;

-- name: count_unheard
-- Counts by noun the events that have yet to be heard, $1 at most, and says for how long the oldest has waited that is no setback.
SELECT l.noun,
    (SELECT count(*) FROM (SELECT FROM events e WHERE e.noun = l.noun LIMIT $1) c) AS events,
    coalesce((
        SELECT greatest(extract(epoch FROM app_now() - e.happened_at) * 1000, 0)::bigint
        FROM events e
        WHERE e.noun = l.noun
            AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = e.noun || ' events' AND s.row_id = e.id::text)
        ORDER BY e.id
        LIMIT 1
    ), 0) AS waited_ms
FROM (SELECT DISTINCT noun FROM listeners) l;
