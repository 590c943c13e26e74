-- Statements that show an operator how the workers' work stands.

-- name: read_waits
-- Says for how many seconds what waits longest has waited: for the first attempt at a held order's payment, for the end
-- of a held order since that attempt, for a look at a group, and for a payment operation that is due. Null when
-- nothing waits. Reads at most $1 rows of each.
SELECT
    (
        SELECT extract(epoch FROM app_now() - min(created_at))
        FROM (
            SELECT kind, attempts, created_at FROM payment_operations
            WHERE state IN ('due', 'in_flight', 'unknown') ORDER BY due_at LIMIT $1
        ) due_first
        WHERE kind = 'authorise' AND attempts = 0
    )::float8 AS untried_s,
    (
        SELECT extract(epoch FROM app_now() - min(tried_since(p.attempts, p.first_tried_at, p.created_at)))
        FROM (SELECT id FROM orders WHERE status = 'held' ORDER BY hold_until LIMIT $1) o
        -- One look-up by key for each, whatever the planner believes about the tables' sizes.
        CROSS JOIN LATERAL (
            SELECT attempts, first_tried_at, created_at FROM payment_operations
            WHERE order_id = o.id AND kind = 'authorise' AND operation_no = 0
            LIMIT 1
        ) p
    )::float8 AS held_s,
    (
        SELECT extract(epoch FROM app_now() - min(due_first.check_at))
        FROM (SELECT group_id, check_at FROM group_progress WHERE check_at <= app_now() ORDER BY check_at LIMIT $1) due_first
        WHERE NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'lifecycle' AND s.row_id = due_first.group_id)
    )::float8 AS group_s,
    (
        SELECT extract(epoch FROM app_now() - min(due_at)) FROM payment_operations
        WHERE state IN ('due', 'in_flight', 'unknown') AND due_at <= app_now()
    )::float8 AS payment_s;
