-- Orders wherever they are kept, and as the API shows them.
-- version: 2
-- uses: offers

-- What reads old orders reads these two; what only knows orders under way keeps to the tables. The columns are named,
-- because a view made of `*` would not see one that is added later.
CREATE OR REPLACE VIEW every_order AS
SELECT
    id, deal_id, lane_no, group_id, seat, group_capacity, buyer_id, quantity, status, currency,
    promised_unit_minor, final_unit_minor, payment_method, invite_code, ship_to, request_id, hold_until,
    created_at, updated_at, refund_asked_minor, refunded_minor, card_digest, decline_reason, new_card
FROM orders
UNION ALL
SELECT
    id, deal_id, lane_no, group_id, seat, group_capacity, buyer_id, quantity, status, currency,
    promised_unit_minor, final_unit_minor, payment_method, invite_code, ship_to, request_id, hold_until,
    created_at, updated_at, refund_asked_minor, refunded_minor, card_digest, decline_reason, new_card
FROM archived_orders;

CREATE OR REPLACE VIEW every_operation AS
SELECT
    order_id, kind, state, amount_minor, currency, attempts, due_at, gateway_ref, failure, created_at,
    ended_at, operation_no, escalated_at, first_tried_at
FROM payment_operations
UNION ALL
SELECT
    order_id, kind, state, amount_minor, currency, attempts, due_at, gateway_ref, failure, created_at,
    ended_at, operation_no, escalated_at, first_tried_at
FROM archived_operations;

-- An order is shown with what came back of it, and with the operation that says how the payment of its charge stands: a
-- void comes after a capture that failed, and a capture after the authorisation. Its
-- offer is what the deal offered when the order was placed.
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
        JOIN every_operation f ON f.order_id = r.order_id AND f.kind = 'refund' AND f.operation_no = r.refund_no
        WHERE r.order_id = o.id
    ) END AS refunds,
    o.decline_reason, (SELECT f.offer FROM offer_at(o.deal_id, o.created_at) f) AS offer
FROM every_order o
CROSS JOIN LATERAL (
    SELECT kind, state FROM every_operation
    WHERE order_id = o.id AND operation_no = 0
    ORDER BY CASE kind WHEN 'void' THEN 3 WHEN 'capture' THEN 2 ELSE 1 END DESC
    LIMIT 1
) p;
