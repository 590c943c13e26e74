-- How often something happened within a window of time, for each key of a limit.

-- name: lock_window
-- Takes the right to count under one key of a scope; a row not there yet is made, empty.
INSERT INTO limit_windows AS w (scope, key_digest, moments, idle_at)
VALUES ($1, $2, '{}', app_now())
ON CONFLICT (scope, key_digest) DO UPDATE SET idle_at = w.idle_at;

-- name: count_in_window
-- Counts $5 more in a locked window of $3 ms if no more than $4 are in it then; nothing is returned for one too many.
UPDATE limit_windows w
SET moments = recent.moments || array_fill(app_now(), ARRAY[$5::integer]), idle_at = app_now() + $3::bigint * interval '1 millisecond'
FROM (
    SELECT array(
        SELECT m FROM unnest(l.moments) AS m
        WHERE m > app_now() - $3::bigint * interval '1 millisecond'
        ORDER BY m
    ) AS moments
    FROM limit_windows l
    WHERE l.scope = $1 AND l.key_digest = $2
) recent
WHERE w.scope = $1 AND w.key_digest = $2 AND cardinality(recent.moments) + $5::integer <= $4::integer
RETURNING cardinality(w.moments);

-- name: window_wait_ms
-- Says in how many ms a window of $3 ms has room again under a limit of $4; null when it has now.
SELECT ceil(extract(epoch FROM m + $3::bigint * interval '1 millisecond' - app_now()) * 1000)::bigint
FROM limit_windows w CROSS JOIN LATERAL unnest(w.moments) AS m
WHERE w.scope = $1 AND w.key_digest = $2 AND m > app_now() - $3::bigint * interval '1 millisecond'
ORDER BY m DESC
OFFSET $4::integer - 1
LIMIT 1;
