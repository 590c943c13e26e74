-- Payments, cards, refunds, what the gateway tells, the ledger, and the sandbox gateway's own books.
-- uses: clock, ledger

-- Every gateway call is a row first: what to do, under which idempotency key, and when. An order has one authorise, one
-- capture and one void, numbered 0, and any number of refunds from 1 on. The key sent to the gateway is
-- `<order id>:<kind>`, for refunds with the number behind it, fixed before the first attempt; a second authorise,
-- capture or void of one order cannot even be written.
CREATE TABLE payment_operations (
    order_id text NOT NULL,
    kind text NOT NULL CONSTRAINT operation_kind CHECK (kind IN ('authorise', 'capture', 'void', 'refund')),
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
    operation_no integer NOT NULL DEFAULT 0,
    -- An operation that was given up without an answer, or a void that was refused, waits for a person. Nothing else
    -- follows from it: order and ledger stay as they are until it is known what happened at the gateway.
    escalated_at timestamptz,
    -- When the first attempt began; null before it. A buyer's time counts from here, never from how long workers were
    -- away.
    first_tried_at timestamptz,
    CONSTRAINT operation_ended CHECK ((state IN ('succeeded', 'declined', 'failed')) = (ended_at IS NOT NULL)),
    CONSTRAINT operation_numbered CHECK (operation_no >= 0 AND (kind = 'refund') = (operation_no > 0)),
    CONSTRAINT operation_escalated CHECK (escalated_at IS NULL OR state IN ('failed', 'declined')),
    PRIMARY KEY (order_id, kind, operation_no)
);
CREATE INDEX payment_operations_due ON payment_operations (due_at) WHERE state IN ('due', 'in_flight', 'unknown');
CREATE INDEX payment_operations_escalated ON payment_operations (escalated_at) WHERE escalated_at IS NOT NULL;
-- Money that was captured is not given back by a void, and the other way round.
CREATE UNIQUE INDEX captured_xor_voided ON payment_operations (order_id)
    WHERE kind IN ('capture', 'void') AND state = 'succeeded';
-- Finds the order of a payment that an event names without our reference, as a refund made in a dashboard does. The
-- sandbox sends no events and its payments stay out of the index.
CREATE INDEX payment_operations_of_stripe ON payment_operations (gateway_ref)
    WHERE kind = 'authorise' AND starts_with(gateway_ref, 'pi_');

-- The operations of orders in the archive, moved with them.
CREATE TABLE archived_operations (LIKE payment_operations INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE archived_operations ADD PRIMARY KEY (order_id, kind, operation_no);
CREATE INDEX archived_operations_of_stripe ON archived_operations (gateway_ref)
    WHERE kind = 'authorise' AND starts_with(gateway_ref, 'pi_');

-- One card is one head of a group, however many accounts it has. Cards are told apart by the gateway's fingerprint,
-- known once a payment was authorised; only a digest of it under this key is kept. The key is random and kept here, so
-- that digests outlive every rotation of the deployment's secret.
CREATE TABLE card_keys (
    the_one boolean PRIMARY KEY DEFAULT true CONSTRAINT card_key_one CHECK (the_one),
    key bytea NOT NULL CONSTRAINT card_key_size CHECK (octet_length(key) = 32)
);
INSERT INTO card_keys (key)
VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- Cards whose capture finally failed, until one of them succeeds.
CREATE TABLE failed_cards (
    card_digest bytea PRIMARY KEY,
    failed_at timestamptz NOT NULL
);
CREATE INDEX failed_cards_age ON failed_cards (failed_at);

-- A captured order may be given back in several parts, each a payment operation (order_id, 'refund', refund_no) of its
-- own. A row says why, and who said so. Its order may be in `orders` or in the archive; `pintuan audit` checks that it
-- is in one.
CREATE TABLE refunds (
    id text PRIMARY KEY,
    order_id text NOT NULL,
    refund_no integer NOT NULL CONSTRAINT refund_no_range CHECK (refund_no >= 1),
    amount_minor bigint NOT NULL CONSTRAINT refund_amount CHECK (amount_minor > 0),
    reason text NOT NULL CONSTRAINT refund_reason_size CHECK (length(reason) BETWEEN 1 AND 500),
    asked_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    CONSTRAINT refund_once UNIQUE (order_id, refund_no)
);

-- What the payment gateway told us by webhook. An event decides nothing: it makes us look, it names the gateway's
-- payment of an order, and what happened there unasked is kept for a person to see.
CREATE TABLE gateway_events (
    gateway text NOT NULL,
    event_id text NOT NULL CONSTRAINT event_id_size CHECK (length(event_id) BETWEEN 1 AND 255),
    kind text NOT NULL,
    -- Our order, and the gateway's own name of its payment; null where the event is about neither.
    reference text,
    payment_ref text,
    -- Why nobody here expected it; null for what did follow from our own calls.
    surprise text,
    received_at timestamptz NOT NULL DEFAULT app_now(),
    PRIMARY KEY (gateway, event_id)
);
CREATE INDEX gateway_events_of_order ON gateway_events (reference) WHERE payment_ref IS NOT NULL;
CREATE INDEX gateway_events_forgettable ON gateway_events (received_at) WHERE surprise IS NULL;
CREATE INDEX gateway_surprises ON gateway_events (received_at) WHERE surprise IS NOT NULL;

-- The ledger: append-only double entry. A trigger on orders posts what an order's charge does to it, so that no code
-- path can move an order's money and forget the books. A transaction is (order_id, kind, operation_no); its lines are
-- written in one statement and add up to zero. Debits are positive. Every account is kept for each merchant, so that
-- no row is shared by all of them.
CREATE TABLE ledger_postings (
    order_id text NOT NULL,
    kind text NOT NULL CONSTRAINT posting_kind CHECK (
        kind IN ('sale', 'capture', 'write_off', 'refund_asked', 'refund_paid', 'refund_failed')
    ),
    operation_no integer NOT NULL DEFAULT 0,
    line_no smallint NOT NULL,
    account text NOT NULL CONSTRAINT posting_account CHECK (account IN (
        'buyer_receivable', 'gateway_clearing', 'merchant_payable', 'platform_fee', 'refunds', 'write_off'
    )),
    merchant_id text NOT NULL,
    amount_minor bigint NOT NULL CONSTRAINT posting_amount CHECK (amount_minor <> 0),
    currency text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    PRIMARY KEY (order_id, kind, operation_no, line_no)
);
-- Statements are about what is owed to a merchant, the other half of every transaction is not in them.
CREATE INDEX ledger_statement ON ledger_postings (merchant_id, created_at, order_id, kind, operation_no, line_no)
    WHERE account = 'merchant_payable';

-- Sums of money are numeric, so that no account leaves its range. Postings are bigint: each is a part of one order.
CREATE TABLE ledger_balances (
    merchant_id text NOT NULL,
    account text NOT NULL,
    currency text NOT NULL,
    balance_minor numeric NOT NULL,
    PRIMARY KEY (merchant_id, currency, account)
);

CREATE TRIGGER ledger_balanced
AFTER INSERT ON ledger_postings
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION ledger_posted();

CREATE TRIGGER ledger_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_postings
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Runs after `orders_changed` by its name: the ledger's locks come last.
CREATE TRIGGER orders_charged
AFTER UPDATE ON orders
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION orders_charged();

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
    refunded_minor bigint NOT NULL DEFAULT 0,
    CHECK ((status = 'captured') = (captured_minor > 0)),
    CONSTRAINT refunded_within_captured CHECK (refunded_minor BETWEEN 0 AND captured_minor)
);

CREATE TABLE sandbox_gateway.calls (
    idempotency_key text PRIMARY KEY,
    kind text NOT NULL,
    reference text NOT NULL,
    amount_minor bigint,
    outcome text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now()
);
CREATE INDEX refund_calls ON sandbox_gateway.calls (reference) WHERE kind = 'refund';
