-- Rows that a sweep failed on, and when each is tried again.

-- name: note_setbacks
-- Notes failures ($3) of rows ($2) of sweep $1: tried again after $4 ms, doubled each time up to $5; set aside, for $7 ms
-- a try, after $6 failures. Answers how often each has failed, and whether it has just been set aside.
INSERT INTO setbacks AS s (sweep, row_id, attempts, failure, look_at)
SELECT $1, u.row_id, 1, u.failure, app_now() + $4::bigint * interval '1 millisecond'
FROM unnest($2::text[], $3::text[]) AS u (row_id, failure)
ORDER BY u.row_id
ON CONFLICT (sweep, row_id) DO UPDATE
SET attempts = s.attempts + 1, failure = excluded.failure, failed_at = app_now(),
    set_aside_at = CASE WHEN s.attempts + 1 >= $6::integer THEN coalesce(s.set_aside_at, app_now()) END,
    look_at = app_now() + interval '1 millisecond' * CASE
        WHEN s.attempts + 1 >= $6 THEN $7::bigint
        ELSE least($4::bigint << least(s.attempts, 30), $5::bigint)
    END
RETURNING row_id, attempts, attempts = $6 AS set_aside_now;

-- name: take_due_setbacks
-- Takes up to $2 rows of sweeps $1 whose next try has come, the longest due first, and nobody else takes them for $3 ms.
UPDATE setbacks s
SET look_at = app_now() + $3::bigint * interval '1 millisecond'
FROM (
    SELECT sweep, row_id FROM setbacks
    WHERE look_at <= app_now() AND sweep = ANY($1::text[])
    ORDER BY look_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
) due
WHERE s.sweep = due.sweep AND s.row_id = due.row_id
RETURNING s.sweep, s.row_id;

-- name: forget_setbacks
-- Forgets rows of sweep $1 that went well.
DELETE FROM setbacks WHERE sweep = $1 AND row_id = ANY($2::text[]);

-- name: forget_stale_setbacks
-- Forgets up to $3 rows of sweeps that try them by themselves, not one of $1, that have not failed in $2 ms since they might.
DELETE FROM setbacks
WHERE (sweep, row_id) IN (
    SELECT sweep, row_id FROM setbacks
    WHERE sweep <> ALL($1::text[]) AND look_at < app_now() - $2::bigint * interval '1 millisecond'
    LIMIT $3
    FOR UPDATE SKIP LOCKED
);

-- name: count_setbacks
-- Counts the rows that fail, and those that are set aside, by sweep.
SELECT sweep, count(*) FILTER (WHERE set_aside_at IS NULL) AS failing, count(set_aside_at) AS set_aside
FROM setbacks
GROUP BY sweep;
