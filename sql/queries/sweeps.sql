-- What the workers ask in order to look again at the right moment.

-- name: next_group_check_ms
-- Says in how many ms the next group wants a look that none wants yet, within $1 ms; null when none does.
SELECT ceil(extract(epoch FROM min(check_at) - app_now()) * 1000)::bigint
FROM group_progress
WHERE check_at > app_now() AND check_at <= app_now() + $1::bigint * interval '1 millisecond';
