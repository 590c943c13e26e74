-- The archive: orders that are over, and their payment operations, in tables of their own. Groups stay where they are:
-- a shared link is for ever, and a group is one row where its orders are many.

-- Checks are copied, foreign keys and triggers are not: a row comes here as it was, and changes nowhere but in `orders`.
-- Whatever adds a column to one of the first tables adds it to the other (tests/integration/buying/archive).
CREATE TABLE archived_orders (LIKE orders INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE archived_orders ADD PRIMARY KEY (id);
CREATE INDEX archived_orders_of_buyer ON archived_orders (buyer_id, created_at DESC, id DESC);
CREATE INDEX archived_orders_of_group ON archived_orders (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX archived_orders_of_deal ON archived_orders (deal_id, status, created_at DESC, id DESC);
CREATE INDEX archived_orders_by_invite ON archived_orders (invite_code) WHERE invite_code IS NOT NULL;

CREATE TABLE archived_operations (LIKE payment_operations INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE archived_operations ADD PRIMARY KEY (order_id, kind, operation_no);
CREATE INDEX archived_operations_of_stripe ON archived_operations (gateway_ref)
    WHERE kind = 'authorise' AND starts_with(gateway_ref, 'pi_');

-- A refund's order may be in either table; `pintuan audit` checks that it is in one.
ALTER TABLE refunds DROP CONSTRAINT refunds_order_id_fkey;

-- What reads old orders reads these; what only knows orders under way keeps to the tables.
CREATE VIEW every_order AS SELECT * FROM orders UNION ALL SELECT * FROM archived_orders;
CREATE VIEW every_operation AS SELECT * FROM payment_operations UNION ALL SELECT * FROM archived_operations;

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
    ) END AS refunds
FROM every_order o
CROSS JOIN LATERAL (
    SELECT kind, state FROM every_operation
    WHERE order_id = o.id AND operation_no = 0
    ORDER BY CASE kind WHEN 'void' THEN 3 WHEN 'capture' THEN 2 ELSE 1 END DESC
    LIMIT 1
) p;

-- Since when all orders of a group are in the archive; null while any is not. The age of one that had to stay, or came
-- back, counts from `kept_from` instead of the group's end.
ALTER TABLE groups
    ADD COLUMN archived_at timestamptz,
    ADD COLUMN kept_from timestamptz,
    ADD CONSTRAINT group_archived CHECK (archived_at IS NULL OR ended_at IS NOT NULL);
CREATE INDEX groups_to_archive ON groups (coalesce(kept_from, ended_at))
    WHERE ended_at IS NOT NULL AND archived_at IS NULL;

-- The same for orders without a group, which go one by one.
CREATE INDEX orders_solo_ended ON orders (updated_at)
    WHERE group_id IS NULL AND status NOT IN ('held', 'authorised');

-- Whether nothing more happens to an order by itself: it has ended, or is paid for; no payment of it is open or waits
-- for a person; and Redis was told of its seat.
CREATE FUNCTION order_is_over(order_id text, status text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT status NOT IN ('held', 'authorised')
        AND NOT EXISTS (
            SELECT FROM payment_operations p
            WHERE p.order_id = order_is_over.order_id AND (p.ended_at IS NULL OR p.escalated_at IS NOT NULL)
        )
        AND NOT EXISTS (SELECT FROM seat_releases r WHERE r.order_id = order_is_over.order_id)
$$;
