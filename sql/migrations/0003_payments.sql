-- Every gateway call is a row first: what to do, under which idempotency key, and when.

CREATE TABLE payment_operations (
    -- The key sent to the gateway is `<order id>:<kind>`, fixed before the first attempt; a second authorise,
    -- capture or void of one order cannot even be written.
    order_id text NOT NULL,
    kind text NOT NULL CONSTRAINT operation_kind CHECK (kind IN ('authorise', 'capture', 'void')),
    state text NOT NULL DEFAULT 'due' CONSTRAINT operation_state CHECK (
        state IN ('due', 'in_flight', 'succeeded', 'declined', 'unknown', 'failed')
    ),
    amount_minor bigint NOT NULL CONSTRAINT operation_amount CHECK (amount_minor > 0),
    currency text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    -- When a worker may take the row; while in flight, when its lease runs out.
    due_at timestamptz NOT NULL,
    gateway_ref text,
    failure text,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT operation_ended CHECK ((state IN ('succeeded', 'declined', 'failed')) = (ended_at IS NOT NULL)),
    PRIMARY KEY (order_id, kind)
);
CREATE INDEX payment_operations_due ON payment_operations (due_at) WHERE state IN ('due', 'in_flight', 'unknown');
-- Money that was captured is not given back by a void, and the other way round.
CREATE UNIQUE INDEX captured_xor_voided ON payment_operations (order_id)
    WHERE kind IN ('capture', 'void') AND state = 'succeeded';

-- The sandbox gateway's own books, in a schema of its own: nothing but the sandbox reads or writes them, as
-- nobody but a bank reads a bank's.
CREATE SCHEMA sandbox_gateway;

CREATE TABLE sandbox_gateway.authorisations (
    reference text PRIMARY KEY,
    payment_method text NOT NULL,
    card text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    status text NOT NULL CHECK (status IN ('authorised', 'declined', 'captured', 'voided')),
    captured_minor bigint NOT NULL DEFAULT 0 CHECK (captured_minor BETWEEN 0 AND amount_minor),
    created_at timestamptz NOT NULL DEFAULT app_now(),
    CHECK ((status = 'captured') = (captured_minor > 0))
);

CREATE TABLE sandbox_gateway.calls (
    idempotency_key text PRIMARY KEY,
    kind text NOT NULL,
    reference text NOT NULL,
    amount_minor bigint,
    outcome text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now()
);
