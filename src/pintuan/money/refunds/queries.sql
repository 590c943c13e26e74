-- Refunds of captured orders. A caller that asks for one locks the order first and reads the rest after that.

-- name: lock_refundable_order
-- Locks an order, of merchant $2 unless it is null, and reads what a refund of it is judged by.
SELECT
    d.merchant_id, o.status, o.currency, coalesce(o.final_unit_minor * o.quantity, 0) AS charged_minor, o.refund_asked_minor
FROM orders o JOIN deals d ON d.id = o.deal_id
WHERE o.id = $1 AND ($2::text IS NULL OR d.merchant_id = $2)
FOR UPDATE OF o;

-- name: refunds_so_far
-- Counts an order's refunds, and sums the platform's fee and the part of it given back; run it under the
-- lock.
SELECT
    (SELECT count(*) FROM refunds WHERE order_id = $1) AS refund_count,
    coalesce(-sum(amount_minor) FILTER (WHERE kind = 'capture'), 0)::bigint AS fee_minor,
    coalesce(sum(amount_minor) FILTER (WHERE kind <> 'capture'), 0)::bigint AS fee_returned_minor
FROM ledger_postings
WHERE order_id = $1 AND account = 'platform_fee';

-- name: ask_refund
-- Writes a refund ($1 id, $2 order, $3 number, $4 amount, $5 fee returned, $6 reason, $7 by whom) and makes it due.
WITH asked AS (
    UPDATE orders SET refund_asked_minor = refund_asked_minor + $4, updated_at = app_now()
    WHERE id = $2
    RETURNING id, deal_id, currency
),
recorded AS (
    INSERT INTO refunds (id, order_id, refund_no, amount_minor, reason, asked_by)
    SELECT $1, id, $3, $4, $6, $7 FROM asked
),
due AS (
    INSERT INTO payment_operations (order_id, kind, operation_no, amount_minor, currency, due_at, created_at)
    SELECT id, 'refund', $3, $4, currency, app_now(), app_now() FROM asked
)
INSERT INTO ledger_postings (order_id, kind, operation_no, line_no, account, merchant_id, amount_minor, currency)
SELECT a.id, 'refund_asked', $3, l.line_no, l.account, d.merchant_id, l.amount_minor, a.currency
FROM asked a
JOIN deals d ON d.id = a.deal_id
CROSS JOIN LATERAL (
    VALUES
        (1, 'merchant_payable', $4::bigint),
        (2, 'refunds', -$4::bigint),
        (3, 'platform_fee', $5::bigint),
        (4, 'merchant_payable', -$5::bigint)
) AS l (line_no, account, amount_minor)
WHERE l.amount_minor <> 0;
