-- The source of a receipt.

-- name: select_receipt
-- Reads one order of a buyer with its goods, the ladder its price follows from, and when its money moved.
SELECT
    s.*, d.merchant_id, d.product_id, d.variant_id, d.list_price_minor, g.tier_headcounts, g.tier_prices_minor,
    g.min_headcount, g.settled_at, g.final_headcount, t.authorised_at, t.captured_at, t.voided_at, t.refunded_at
FROM orders_shown s
JOIN deals d ON d.id = s.deal_id
LEFT JOIN groups g ON g.id = s.group_id
CROSS JOIN LATERAL (
    SELECT
        max(ended_at) FILTER (WHERE kind = 'authorise') AS authorised_at,
        max(ended_at) FILTER (WHERE kind = 'capture') AS captured_at,
        max(ended_at) FILTER (WHERE kind = 'void') AS voided_at,
        max(ended_at) FILTER (WHERE kind = 'refund') AS refunded_at
    FROM every_operation
    WHERE order_id = s.id AND state = 'succeeded'
) t
WHERE s.id = $1 AND s.buyer_id = $2;
