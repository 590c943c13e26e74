-- Buyers who are being forgotten, of whom lanes in Redis must still be told. Their orders have an alias by
-- then.

-- name: insert_forgotten
-- Notes that lanes know a buyer, all of whose orders there that are over have an alias now: once a lane.
INSERT INTO forgotten_buyers AS f (buyer_id, deal_id, lane_no, alias)
SELECT DISTINCT $1, o.deal_id, o.lane_no, $2
FROM orders o
WHERE o.id = ANY($3::text[]) AND o.buyer_id = $2
ORDER BY o.deal_id, o.lane_no
ON CONFLICT (buyer_id, deal_id, lane_no) DO UPDATE SET noted_at = excluded.noted_at;

-- name: forgotten_buyers
-- Lists up to $3 lanes that must be told of buyer $1, with their epochs, which of them are older than $2 ms, and the
-- units the buyer keeps there without a seat in Redis. A lane that must first be told of a seat of the alias has to wait.
SELECT
    f.deal_id, f.lane_no, f.alias, l.epoch, f.noted_at < app_now() - $2::bigint * interval '1 millisecond' AS outlived,
    coalesce((
        SELECT sum(o.quantity)
        FROM every_order o
        WHERE o.buyer_id = f.buyer_id AND o.deal_id = f.deal_id AND o.lane_no = f.lane_no
            AND order_is_live(o.status) AND o.status NOT IN ('held', 'authorised')
            AND (SELECT r.order_id FROM seat_releases r WHERE r.order_id = o.id) IS NULL
    ), 0)::bigint AS kept_units
FROM forgotten_buyers f JOIN lanes l ON l.deal_id = f.deal_id AND l.lane_no = f.lane_no
WHERE f.buyer_id = $1
    AND NOT EXISTS (
        SELECT FROM orders o JOIN seat_releases r ON r.order_id = o.id
        WHERE o.buyer_id = f.alias AND o.deal_id = f.deal_id AND o.lane_no = f.lane_no
    )
ORDER BY f.noted_at, f.deal_id, f.lane_no
LIMIT $3;

-- name: drop_forgotten
-- Forgets that lanes ($2, $3) must be told of buyer $1.
DELETE FROM forgotten_buyers f
USING unnest($2::text[], $3::integer[]) AS told (deal_id, lane_no)
WHERE f.buyer_id = $1 AND f.deal_id = told.deal_id AND f.lane_no = told.lane_no;
