-- What the API shows of orders.

-- name: select_order
-- Reads one order of a buyer.
SELECT * FROM orders_shown WHERE id = $1 AND buyer_id = $2;

-- name: select_any_order
-- Reads one order, for a caller who was found to be its merchant.
SELECT * FROM orders_shown WHERE id = $1;

-- name: list_orders
-- Reads a page of a buyer's orders (in status $5), newest first, from just behind ($2, $3).
SELECT * FROM orders_shown
WHERE buyer_id = $1 AND status = coalesce($5, status)
    AND (created_at, id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::text, ''))
ORDER BY created_at DESC, id DESC
LIMIT $4;
