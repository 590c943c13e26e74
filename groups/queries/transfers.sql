-- Units on their way between the lanes of a deal.

-- name: try_stock_lock
-- Tries for the right to move units between the lanes of a deal, which one session has at a time.
SELECT pg_try_advisory_lock(hashtextextended('stock ' || $1, 0));

-- name: release_stock_lock
-- Gives that right back.
SELECT pg_advisory_unlock(hashtextextended('stock ' || $1, 0));

-- name: lanes_left
-- Reads what each lane of a deal has left, and the epoch it is at.
SELECT lane_no, epoch, stock_units - sold_units AS units_left FROM lanes WHERE deal_id = $1 ORDER BY lane_no;

-- name: uneven_deals
-- Pages through running deals of which any lane was ever made warm and one has less than half its share left.
-- Deals with open transfers come as well. Failed deals are tried elsewhere.
SELECT d.id
FROM deals d
WHERE d.id > $1 AND d.lane_count > 1 AND d.status = 'active'
    AND d.starts_at <= app_now() AND (d.ends_at IS NULL OR d.ends_at > app_now())
    AND d.id IN (SELECT u.deal_id FROM lanes u WHERE u.epoch > 1)
    AND (
        SELECT 2 * min(l.stock_units - l.sold_units) < sum(l.stock_units - l.sold_units)::bigint / count(*)
        FROM lanes l WHERE l.deal_id = d.id
    )
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'stock' AND s.row_id = d.id)
UNION
SELECT t.deal_id FROM stock_transfers t
WHERE t.deal_id > $1 AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'stock' AND s.row_id = t.deal_id)
ORDER BY id
LIMIT $2;

-- name: insert_transfer
-- Notes that units are about to be taken out of lane $3 under epoch $5, for lane $4.
INSERT INTO stock_transfers (id, deal_id, from_lane, to_lane, from_epoch, units) VALUES ($1, $2, $3, $4, $5, $6);

-- name: open_transfers
-- Reads the unfinished transfers of a deal, and which of them are older than $2 ms.
SELECT
    id, from_lane, to_lane, from_epoch, units, moved,
    created_at < app_now() - $2::bigint * interval '1 millisecond' AS outlived
FROM stock_transfers
WHERE deal_id = $1
ORDER BY created_at, id;

-- name: lock_transfer
-- Locks a transfer that is not over and reads how far it got.
SELECT units, moved FROM stock_transfers WHERE id = $1 FOR UPDATE;

-- name: lock_lanes_of_transfer
-- Locks two lanes of a deal in their order and reads what each has left.
SELECT lane_no, epoch, stock_units - sold_units AS units_left
FROM lanes
WHERE deal_id = $1 AND lane_no IN ($2, $3)
ORDER BY lane_no
FOR NO KEY UPDATE;

-- name: move_units
-- Moves $2 units by a transfer; with $3, Redis learns of it by the giving lane's epoch.
WITH transfer AS (
    UPDATE stock_transfers SET units = $2, moved = true WHERE id = $1
    RETURNING deal_id, from_lane, to_lane
)
UPDATE lanes l
SET stock_units = l.stock_units + CASE l.lane_no WHEN t.to_lane THEN $2::bigint ELSE -$2::bigint END,
    epoch = l.epoch + CASE WHEN $3::boolean AND l.lane_no = t.from_lane THEN 1 ELSE 0 END
FROM transfer t
WHERE l.deal_id = t.deal_id AND l.lane_no IN (t.from_lane, t.to_lane);

-- name: drop_transfer
-- Forgets a transfer that has got to its end, or never began.
DELETE FROM stock_transfers WHERE id = $1;

-- name: moved_transfers
-- Reads the transfers that the stock of lane $2 shows already.
SELECT id, units FROM stock_transfers WHERE deal_id = $1 AND to_lane = $2 AND moved;
