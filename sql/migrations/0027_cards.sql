-- Cards: one card is one head of a group, however many accounts it has. What tells cards apart is the gateway's fingerprint,
-- known once a payment was authorised; only a keyed digest of it is kept.

-- The key is random and kept here, so that digests outlive every rotation of the deployment's secret.
CREATE TABLE card_keys (
    the_one boolean PRIMARY KEY DEFAULT true CONSTRAINT card_key_one CHECK (the_one),
    key bytea NOT NULL CONSTRAINT card_key_size CHECK (octet_length(key) = 32)
);
INSERT INTO card_keys (key)
VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

CREATE FUNCTION card_digest(card text) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT substring(sha256(k.key || convert_to(card, 'UTF8')) FOR 16) FROM card_keys k $$;

-- Why an order was declined though the gateway authorised it; null where the gateway refused.
ALTER TABLE orders
    ADD COLUMN card_digest bytea,
    ADD COLUMN decline_reason text CONSTRAINT order_decline_reason CHECK (
        decline_reason IS NULL
        OR (status = 'declined' AND decline_reason IN ('card_in_group', 'card_failed_before', 'card_limit'))
    );
ALTER TABLE archived_orders
    ADD COLUMN card_digest bytea,
    ADD COLUMN decline_reason text CONSTRAINT order_decline_reason CHECK (
        decline_reason IS NULL
        OR (status = 'declined' AND decline_reason IN ('card_in_group', 'card_failed_before', 'card_limit'))
    );
CREATE OR REPLACE VIEW every_order AS SELECT * FROM orders UNION ALL SELECT * FROM archived_orders;

-- Held from the authorisation on, when the card is known: a join pays nothing for it.
CREATE UNIQUE INDEX order_card_once ON orders (group_id, card_digest)
    WHERE group_id IS NOT NULL AND card_digest IS NOT NULL
        AND status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed');
CREATE INDEX orders_of_card ON orders (card_digest, deal_id) WHERE card_digest IS NOT NULL;

-- Cards whose capture finally failed, until one of them succeeds.
CREATE TABLE failed_cards (
    card_digest bytea PRIMARY KEY,
    failed_at timestamptz NOT NULL
);
CREATE INDEX failed_cards_age ON failed_cards (failed_at);

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
    o.decline_reason
FROM every_order o
CROSS JOIN LATERAL (
    SELECT kind, state FROM every_operation
    WHERE order_id = o.id AND operation_no = 0
    ORDER BY CASE kind WHEN 'void' THEN 3 WHEN 'capture' THEN 2 ELSE 1 END DESC
    LIMIT 1
) p;
