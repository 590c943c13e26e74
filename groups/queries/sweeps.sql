-- Questions of the workers about the right moment for their next look.

-- name: next_group_check_ms
-- Says in how many ms, within $1, the next group is due for a look that is not due yet; null when none is.
SELECT ceil(extract(epoch FROM min(check_at) - app_now()) * 1000)::bigint
FROM group_progress
WHERE check_at > app_now() AND check_at <= app_now() + $1::bigint * interval '1 millisecond';

-- name: take_turn
-- Takes the turn at a sweep for $2 ms; returns nothing while somebody else has it.
INSERT INTO sweep_turns (sweep, next_at) VALUES ($1, app_now() + $2::bigint * interval '1 millisecond')
ON CONFLICT (sweep) DO UPDATE SET next_at = excluded.next_at
WHERE sweep_turns.next_at <= app_now()
RETURNING sweep;
