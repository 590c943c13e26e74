-- The books as merchants read them.

-- name: balances_of_merchant
-- Sums up a merchant's accounts by currency, as the merchant sees them: what is owed to them is positive.
SELECT
    currency,
    (
        -coalesce(sum(balance_minor) FILTER (WHERE account = 'merchant_payable'), 0)
        - coalesce(sum(balance_minor) FILTER (WHERE account = 'buyer_receivable'), 0)
    )::bigint AS available_minor,
    coalesce(sum(balance_minor) FILTER (WHERE account = 'buyer_receivable'), 0)::bigint AS pending_minor,
    -coalesce(sum(balance_minor) FILTER (WHERE account = 'platform_fee'), 0)::bigint AS fees_minor,
    -coalesce(sum(balance_minor) FILTER (WHERE account = 'refunds'), 0)::bigint AS refunding_minor
FROM ledger_balances
WHERE merchant_id = $1
GROUP BY currency
ORDER BY currency;

-- name: statement_page
-- Reads up to $9 movements of the amount owed to merchant $1, from $2 until before $3, from just behind ($4,
-- …, $8).
SELECT created_at, order_id, kind, operation_no, line_no, -amount_minor AS amount_minor, currency
FROM ledger_postings
WHERE merchant_id = $1 AND account = 'merchant_payable' AND created_at >= $2 AND created_at < $3
    AND (created_at, order_id, kind, operation_no, line_no) > ($4, $5, $6, $7, $8)
ORDER BY created_at, order_id, kind, operation_no, line_no
LIMIT $9;

-- name: merchant_fee
-- Reads a merchant's fee in basis points; nothing for one who is not known.
SELECT fee_bps FROM merchants WHERE id = $1;

-- name: set_merchant_fee
-- Gives a merchant, who is added when not known yet, the fee $2, and answers the one before; null for a new one.
WITH before AS (
    SELECT fee_bps FROM merchants WHERE id = $1
),
kept AS (
    INSERT INTO merchants (id, fee_bps) VALUES ($1, $2)
    ON CONFLICT (id) DO UPDATE SET fee_bps = excluded.fee_bps
)
SELECT (SELECT fee_bps FROM before) AS fee_bps;
