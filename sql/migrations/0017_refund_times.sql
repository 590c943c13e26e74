-- Buyers are told when a refund was made, not only when it was asked for.
CREATE OR REPLACE VIEW orders_shown AS
SELECT
    o.id, o.deal_id, o.group_id, o.seat, o.buyer_id, o.status, o.quantity, o.currency, o.promised_unit_minor,
    o.final_unit_minor, o.created_at, p.kind AS payment_kind, p.state AS payment_state, o.refunded_minor,
    CASE WHEN o.status IN ('captured', 'partially_refunded', 'refunded') THEN (
        SELECT jsonb_agg(jsonb_build_object(
            'id', r.id, 'amount_minor', r.amount_minor, 'reason', r.reason, 'state', f.state, 'created_at', r.created_at,
            'refunded_at', CASE f.state WHEN 'succeeded' THEN f.ended_at END
        ) ORDER BY r.refund_no)
        FROM refunds r
        JOIN payment_operations f ON f.order_id = r.order_id AND f.kind = 'refund' AND f.operation_no = r.refund_no
        WHERE r.order_id = o.id
    ) END AS refunds
FROM orders o
CROSS JOIN LATERAL (
    SELECT kind, state FROM payment_operations
    WHERE order_id = o.id AND operation_no = 0
    ORDER BY CASE kind WHEN 'void' THEN 3 WHEN 'capture' THEN 2 ELSE 1 END DESC
    LIMIT 1
) p;
