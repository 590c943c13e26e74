-- Orders as the API shows them: with the operation that says how their payment stands. A void comes after a
-- capture that failed, and a capture after the authorisation.
CREATE VIEW orders_shown AS
SELECT
    o.id, o.deal_id, o.group_id, o.seat, o.buyer_id, o.status, o.quantity, o.currency, o.promised_unit_minor,
    o.final_unit_minor, o.created_at, p.kind AS payment_kind, p.state AS payment_state
FROM orders o
CROSS JOIN LATERAL (
    SELECT kind, state FROM payment_operations
    WHERE order_id = o.id
    ORDER BY CASE kind WHEN 'void' THEN 3 WHEN 'capture' THEN 2 ELSE 1 END DESC
    LIMIT 1
) p;
