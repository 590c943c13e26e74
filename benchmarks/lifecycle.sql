-- How far a deal's orders have come.

-- name: work_left
-- Counts a deal's groups that have not ended, and the seats Redis has yet to be told of.
SELECT
    (SELECT count(*) FROM groups WHERE deal_id = $1 AND status NOT IN ('succeeded', 'failed'))
    + (SELECT count(*) FROM seat_releases WHERE deal_id = $1);

-- name: completed_orders
-- Counts a deal's orders that were paid for.
SELECT count(*) FROM orders WHERE deal_id = $1 AND status = 'captured';
