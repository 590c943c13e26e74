-- The questions of `pintuan audit` about the ledger. Every statement answers (id, detail) of each fault, at
-- most $1 rows.

-- name: ledger_adds_up
-- Every transaction of the ledger adds up to zero in one currency, and the balances are the sums of the postings.
SELECT format('%s %s %s', order_id, kind, operation_no) AS id, format('adds up to %s', sum(amount_minor)) AS detail
FROM ledger_postings
GROUP BY order_id, kind, operation_no
HAVING sum(amount_minor) <> 0 OR count(DISTINCT currency) > 1
UNION ALL
SELECT format('%s %s', account, merchant_id), format('balance %s, postings %s %s', b.balance_minor, p.sum_minor, currency)
FROM ledger_balances b
FULL JOIN (
    SELECT merchant_id, account, currency, sum(amount_minor) AS sum_minor
    FROM ledger_postings GROUP BY merchant_id, account, currency
) p USING (merchant_id, account, currency)
WHERE b.balance_minor IS DISTINCT FROM p.sum_minor
LIMIT $1;

-- name: charges_are_in_the_ledger
-- The charges, payments and refunds of an order are those of the ledger.
SELECT o.id, format('%s, charged %s: sold %s, captured %s, written off %s, asked back %s, paid back %s', o.status,
    o.final_unit_minor * o.quantity, l.sold, l.captured, l.written_off, l.asked, l.paid) AS detail
FROM every_order o
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'sale' AND line_no = 1), 0) AS sold,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'capture' AND line_no = 1), 0) AS captured,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'write_off' AND line_no = 1), 0) AS written_off,
        coalesce(sum(amount_minor) FILTER (WHERE kind IN ('refund_asked', 'refund_failed') AND line_no = 1), 0) AS asked,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'refund_paid' AND line_no = 1), 0) AS paid
    FROM ledger_postings WHERE order_id = o.id
) l
WHERE l.sold <> coalesce(o.final_unit_minor * o.quantity, 0)
    OR l.captured <> CASE WHEN o.status IN ('captured', 'partially_refunded', 'refunded') THEN l.sold ELSE 0 END
    OR l.written_off <> CASE o.status WHEN 'payment_failed' THEN l.sold ELSE 0 END
    OR l.asked <> o.refund_asked_minor OR l.paid <> o.refunded_minor
LIMIT $1;
