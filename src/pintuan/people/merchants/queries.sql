-- Those who sell. A merchant's row is made when the merchant first writes something.

-- name: insert_merchant
-- Adds a merchant unless it is known.
INSERT INTO merchants (id) VALUES ($1) ON CONFLICT (id) DO NOTHING;

-- name: lock_merchant
-- Makes one merchant's changes follow each other, so that counting rows decides something.
SELECT id FROM merchants WHERE id = $1 FOR NO KEY UPDATE;
