-- Refunds: a captured order may be given back in several parts, each a payment operation of its own.

-- An order has one authorise, one capture and one void, numbered 0, and any number of refunds from 1 on. The key
-- sent to the gateway is `<order id>:<kind>`, for refunds with the number behind it.
ALTER TABLE payment_operations
    ADD COLUMN operation_no integer NOT NULL DEFAULT 0,
    DROP CONSTRAINT operation_kind,
    ADD CONSTRAINT operation_kind CHECK (kind IN ('authorise', 'capture', 'void', 'refund')),
    ADD CONSTRAINT operation_numbered CHECK (operation_no >= 0 AND (kind = 'refund') = (operation_no > 0)),
    DROP CONSTRAINT payment_operations_pkey,
    ADD PRIMARY KEY (order_id, kind, operation_no);

-- What was asked back and has not failed, and what was given back of it. Asking locks the order, so that two
-- merchants' clicks cannot give back more than was captured.
ALTER TABLE orders
    ADD COLUMN refund_asked_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN refunded_minor bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT order_refunds_within_charge CHECK (
        refunded_minor BETWEEN 0 AND refund_asked_minor
        AND (refund_asked_minor = 0 OR refund_asked_minor <= final_unit_minor * quantity)
    ),
    ADD CONSTRAINT order_refunds_of_captured CHECK (
        refund_asked_minor = 0 OR status IN ('captured', 'partially_refunded', 'refunded')
    ),
    ADD CONSTRAINT order_refund_status CHECK (
        (status <> 'captured' OR refunded_minor = 0)
        AND (status <> 'partially_refunded' OR refunded_minor BETWEEN 1 AND final_unit_minor * quantity - 1)
        AND (status <> 'refunded' OR refunded_minor = final_unit_minor * quantity)
    );

-- Why money is given back, and who said so; its operation is (order_id, 'refund', refund_no).
CREATE TABLE refunds (
    id text PRIMARY KEY,
    order_id text NOT NULL REFERENCES orders,
    refund_no integer NOT NULL CONSTRAINT refund_no_range CHECK (refund_no >= 1),
    amount_minor bigint NOT NULL CONSTRAINT refund_amount CHECK (amount_minor > 0),
    reason text NOT NULL CONSTRAINT refund_reason_size CHECK (length(reason) BETWEEN 1 AND 500),
    asked_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    CONSTRAINT refund_once UNIQUE (order_id, refund_no)
);

ALTER TABLE sandbox_gateway.authorisations
    ADD COLUMN refunded_minor bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT refunded_within_captured CHECK (refunded_minor BETWEEN 0 AND captured_minor);
CREATE INDEX refund_calls ON sandbox_gateway.calls (reference) WHERE kind = 'refund';

-- An order is shown with what came back of it; the payment shown is that of the charge.
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
