-- The table and the statement of the naive design; constraints as few as a shop would dare.

-- name: create_naive_orders
-- Makes the table of the naive design.
CREATE TABLE IF NOT EXISTS naive_orders (
    id text PRIMARY KEY,
    deal_id text NOT NULL,
    group_no integer NOT NULL,
    seat integer NOT NULL,
    buyer_id text NOT NULL,
    quantity integer NOT NULL,
    promised_minor bigint NOT NULL,
    payment_method text NOT NULL,
    idempotency_key text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (deal_id, buyer_id),
    UNIQUE (buyer_id, idempotency_key)
);

-- name: insert_naive_order
-- Records one order and answers when it was placed.
INSERT INTO naive_orders (id, deal_id, group_no, seat, buyer_id, quantity, promised_minor, payment_method, idempotency_key)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING created_at;
