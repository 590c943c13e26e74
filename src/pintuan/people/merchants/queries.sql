-- Those who sell. A merchant's row is made when the merchant first writes something.

-- name: insert_merchant
-- Adds a merchant unless it is known.
INSERT INTO merchants (id) VALUES ($1) ON CONFLICT (id) DO NOTHING;

-- name: is_known
-- Says whether anything is known of a merchant: that they sold, or have an account.
SELECT EXISTS (SELECT FROM merchants WHERE id = $1) OR EXISTS (SELECT FROM accounts WHERE id = $1);

-- name: lock_merchant
-- Makes one merchant's changes follow each other, so that counting rows decides something.
SELECT id FROM merchants WHERE id = $1 FOR NO KEY UPDATE;

-- name: hold_role
-- Keeps an account from being given another role, or erased, until the transaction ends; ask for its rights
-- after that.
SELECT role FROM accounts WHERE id = $1 FOR SHARE;

-- name: may_sell
-- Says whether a subject may sell now, and whether it was erased in the last $2 ms.
SELECT may_sell($1) AS may_sell, EXISTS (
    SELECT FROM erasures WHERE subject = $1 AND erased_at > app_now() - $2::bigint * interval '1 millisecond'
) AS is_erased;
