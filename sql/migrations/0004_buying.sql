-- Lanes, groups and orders, with the constraints that keep them true whatever Redis says; the archive of orders.
-- uses: clock, orders

-- A lane is a shard of a deal with its own stock share. `epoch` is the version of its Redis state: it rises
-- before every rebuild and with every change of the deal.
CREATE TABLE lanes (
    deal_id text NOT NULL REFERENCES deals,
    lane_no integer NOT NULL CONSTRAINT lane_no_range CHECK (lane_no >= 0),
    epoch bigint NOT NULL DEFAULT 1,
    stock_units bigint NOT NULL,
    sold_units bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (deal_id, lane_no),
    CONSTRAINT lane_stock CHECK (sold_units BETWEEN 0 AND stock_units)
) WITH (fillfactor = 50);

-- The last change of a deal as its lane saw it: the epoch it made out of the one before, and the units it brought.
CREATE TABLE lane_changes (
    deal_id text NOT NULL,
    lane_no integer NOT NULL,
    epoch bigint NOT NULL,
    added_units bigint NOT NULL,
    PRIMARY KEY (deal_id, lane_no),
    FOREIGN KEY (deal_id, lane_no) REFERENCES lanes
);

-- Units on their way from one lane of a deal to another: taken in Redis under `from_epoch`, moved here, given in Redis.
-- A row lasts for as long as one of these steps may have to be made again.
CREATE TABLE stock_transfers (
    id text PRIMARY KEY,
    deal_id text NOT NULL,
    from_lane integer NOT NULL,
    to_lane integer NOT NULL,
    from_epoch bigint NOT NULL,
    units bigint NOT NULL CONSTRAINT transfer_units_range CHECK (units > 0),
    moved boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    FOREIGN KEY (deal_id, from_lane) REFERENCES lanes,
    FOREIGN KEY (deal_id, to_lane) REFERENCES lanes,
    CONSTRAINT transfer_between_lanes CHECK (from_lane <> to_lane)
);
CREATE INDEX stock_transfers_of_deal ON stock_transfers (deal_id);

-- `open -> closing -> settling -> succeeded | failed`; drawn in ARCHITECTURE.md. Groups stay where they are when their
-- orders are archived: a shared link is for ever, and a group is one row where its orders are many.
CREATE TABLE groups (
    id text PRIMARY KEY,
    deal_id text NOT NULL,
    lane_no integer NOT NULL,
    share_code text NOT NULL CONSTRAINT group_share_code UNIQUE,
    status text NOT NULL DEFAULT 'open'
        CONSTRAINT group_status CHECK (status IN ('open', 'closing', 'settling', 'succeeded', 'failed')),
    leader_order_id text NOT NULL,
    capacity integer NOT NULL,
    min_headcount integer NOT NULL,
    tier_headcounts integer[] NOT NULL,
    tier_prices_minor bigint[] NOT NULL,
    currency text NOT NULL,
    opened_at timestamptz NOT NULL,
    deadline timestamptz NOT NULL,
    closing_at timestamptz,
    settle_by timestamptz,
    settled_at timestamptz,
    ended_at timestamptz,
    final_headcount integer,
    final_unit_price_minor bigint,
    -- How many authorised members left while the group was open. A join that waited for such a cancel still sees
    -- the headcount from before; by this number it notices, and reads again before it promises a price.
    departures integer NOT NULL DEFAULT 0 CONSTRAINT group_departures_range CHECK (departures >= 0),
    -- Since when all orders of the group are in the archive; null while any is not.
    archived_at timestamptz,
    -- From when an order that had to stay, or came back, counts its age instead of from the group's end.
    kept_from timestamptz,
    FOREIGN KEY (deal_id, lane_no) REFERENCES lanes,
    CONSTRAINT group_headcounts CHECK (min_headcount BETWEEN 1 AND capacity),
    CONSTRAINT group_deadline CHECK (deadline > opened_at),
    CONSTRAINT group_closing CHECK ((status = 'open') = (closing_at IS NULL)),
    CONSTRAINT group_settled CHECK (
        (status IN ('open', 'closing')) = (settled_at IS NULL)
        AND (settled_at IS NULL) = (final_headcount IS NULL)
        AND (settled_at IS NULL) = (final_unit_price_minor IS NULL)
        AND settled_at >= closing_at
        AND final_headcount BETWEEN 0 AND capacity
    ),
    CONSTRAINT group_ended CHECK ((status IN ('succeeded', 'failed')) = (ended_at IS NOT NULL)),
    CONSTRAINT group_outcome CHECK (
        (status <> 'succeeded' OR final_headcount >= min_headcount)
        AND (status <> 'failed' OR final_headcount < min_headcount)
    ),
    CONSTRAINT group_archived CHECK (archived_at IS NULL OR ended_at IS NOT NULL)
);
CREATE INDEX groups_of_lane ON groups (deal_id, lane_no, opened_at);
-- The open groups of one lane, by the time they have left. A deal's are a prefix of it.
CREATE INDEX groups_open_of_lane ON groups (deal_id, lane_no, deadline) WHERE status = 'open';
CREATE INDEX groups_of_deal_by_status ON groups (deal_id, status, opened_at DESC, id DESC);
CREATE INDEX groups_to_archive ON groups (coalesce(kept_from, ended_at))
    WHERE ended_at IS NOT NULL AND archived_at IS NULL;

CREATE TRIGGER group_transition
BEFORE UPDATE ON groups FOR EACH ROW
WHEN (OLD.status <> NEW.status AND NOT group_may_become(OLD.status, NEW.status))
EXECUTE FUNCTION refuse_transition();

-- What the lifecycle watches, apart from the group row itself, so that neither a join nor an authorisation ever
-- updates a group row. `check_at` is when a worker must look at the group next; null once it has ended.
-- `restless` asks for a look at every change of a member, which matters only after the group closed.
CREATE TABLE group_progress (
    group_id text PRIMARY KEY REFERENCES groups,
    capacity integer NOT NULL,
    headcount integer NOT NULL DEFAULT 0,
    restless boolean NOT NULL DEFAULT false,
    check_at timestamptz,
    -- For how long workers have watched a closing group wait for attempts at its held seats' payments, and when one last
    -- looked. Time in which nobody looked does not count: no seat is lost because no worker was there.
    watched_ms bigint NOT NULL DEFAULT 0,
    watched_at timestamptz,
    CONSTRAINT group_capacity CHECK (headcount BETWEEN 0 AND capacity)
) WITH (fillfactor = 50);
CREATE INDEX group_progress_due ON group_progress (check_at) WHERE check_at IS NOT NULL;

-- `orders.group_id` has no foreign key: the statement that inserts an order holds its group row FOR SHARE, which
-- is the same guarantee without a second look-up on the hottest insert of the product. `pintuan audit` checks it.
CREATE TABLE orders (
    id text PRIMARY KEY,
    deal_id text NOT NULL,
    lane_no integer NOT NULL,
    group_id text,
    seat integer,
    group_capacity integer,
    buyer_id text NOT NULL CONSTRAINT order_buyer_size CHECK (length(buyer_id) BETWEEN 1 AND 128),
    quantity integer NOT NULL CONSTRAINT order_quantity CHECK (quantity BETWEEN 1 AND 1000000),
    status text NOT NULL DEFAULT 'held' CONSTRAINT order_status CHECK (status IN (
        'held', 'authorised', 'captured', 'partially_refunded', 'refunded',
        'declined', 'expired', 'cancelled', 'released', 'payment_failed'
    )),
    currency text NOT NULL,
    promised_unit_minor bigint NOT NULL CONSTRAINT order_promise_range CHECK (promised_unit_minor > 0),
    final_unit_minor bigint,
    payment_method text NOT NULL,
    invite_code text,
    ship_to jsonb,
    request_id bytea NOT NULL,
    hold_until timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- What was asked back and has not failed, and what was given back of it. Asking locks the order, so that two
    -- merchants' clicks cannot give back more than was captured.
    refund_asked_minor bigint NOT NULL DEFAULT 0,
    refunded_minor bigint NOT NULL DEFAULT 0,
    card_digest bytea,
    -- Why an order was declined though the gateway authorised it; null where the gateway refused.
    decline_reason text CONSTRAINT order_decline_reason CHECK (
        decline_reason IS NULL OR (
            status = 'declined'
            AND decline_reason IN ('card_in_group', 'card_failed_before', 'card_limit', 'new_card_limit')
        )
    ),
    -- Whether a seat's card had paid the merchant nothing when the seat was authorised; noted where the deal limits such
    -- seats.
    new_card boolean NOT NULL DEFAULT false,
    CONSTRAINT order_seat_in_group CHECK (
        (group_id IS NULL) = (seat IS NULL) AND (group_id IS NULL) = (group_capacity IS NULL)
        AND seat BETWEEN 1 AND group_capacity
    ),
    CONSTRAINT order_keeps_promise CHECK (final_unit_minor BETWEEN 1 AND promised_unit_minor),
    CONSTRAINT order_priced_when_charged CHECK (
        final_unit_minor IS NOT NULL OR status NOT IN ('captured', 'partially_refunded', 'refunded', 'payment_failed')
    ),
    CONSTRAINT order_refunds_within_charge CHECK (
        refunded_minor BETWEEN 0 AND refund_asked_minor
        AND (refund_asked_minor = 0 OR refund_asked_minor <= final_unit_minor * quantity)
    ),
    CONSTRAINT order_refunds_of_captured CHECK (
        refund_asked_minor = 0 OR status IN ('captured', 'partially_refunded', 'refunded')
    ),
    CONSTRAINT order_refund_status CHECK (
        (status <> 'captured' OR refunded_minor = 0)
        AND (status <> 'partially_refunded' OR refunded_minor BETWEEN 1 AND final_unit_minor * quantity - 1)
        AND (status <> 'refunded' OR refunded_minor = final_unit_minor * quantity)
    )
);
-- A live order is one whose status is not one of the five dead ends below. The same list stands in
-- order_is_live; the partial indexes cannot call it and stay cheap.
CREATE UNIQUE INDEX order_seat_once ON orders (group_id, seat)
    WHERE status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed');
CREATE UNIQUE INDEX order_buyer_once ON orders (group_id, buyer_id)
    WHERE status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed');
-- Held from the authorisation on, when the card is known: a join pays nothing for it.
CREATE UNIQUE INDEX order_card_once ON orders (group_id, card_digest)
    WHERE group_id IS NOT NULL AND card_digest IS NOT NULL
        AND status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed');
CREATE INDEX orders_of_buyer ON orders (buyer_id, created_at DESC, id DESC);
CREATE INDEX orders_unpaid ON orders (hold_until) WHERE status = 'held';
CREATE INDEX orders_of_lane ON orders (deal_id, lane_no, created_at);
-- A join inserts a held order, and must not pay for what a merchant looks up: held orders, which last a minute,
-- are found by `orders_unpaid`.
CREATE INDEX orders_of_deal_by_status ON orders (deal_id, status, created_at DESC, id DESC) WHERE status <> 'held';
-- Beside `order_seat_once`, which holds the live orders of a group, the ended ones.
CREATE INDEX orders_ended_of_group ON orders (group_id)
    WHERE status IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed');
-- The members whose payment is still to come or to be settled: counted by status while a group runs, asked for the
-- lowest promise when one of them leaves, and looked through for open captures while a group settles.
CREATE INDEX orders_pending_of_group ON orders (group_id, status, promised_unit_minor)
    WHERE status IN ('held', 'authorised');
-- Orders that came by an invitation; most came without one.
CREATE INDEX orders_by_invite ON orders (invite_code) WHERE invite_code IS NOT NULL;
CREATE INDEX orders_of_card ON orders (card_digest, deal_id) WHERE card_digest IS NOT NULL;
-- Counted where the next such seat is authorised; orders of other deals are in no part of it.
CREATE INDEX orders_of_new_cards ON orders (group_id)
    WHERE new_card AND status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed');
-- What cards paid and was not given back, wherever the order is kept; an erasure takes the card out.
CREATE INDEX orders_paid_by_card ON orders (card_digest)
    WHERE card_digest IS NOT NULL AND status IN ('captured', 'partially_refunded');
-- Orders without a group go to the archive one by one.
CREATE INDEX orders_solo_ended ON orders (updated_at)
    WHERE group_id IS NULL AND status NOT IN ('held', 'authorised');

CREATE TRIGGER order_transition
BEFORE UPDATE ON orders FOR EACH ROW
WHEN (OLD.status <> NEW.status AND NOT order_may_become(OLD.status, NEW.status))
EXECUTE FUNCTION refuse_transition();

-- Triggers of one event run by name, so this one takes the locks of stock before `orders_charged` takes the ledger's.
CREATE TRIGGER orders_changed
AFTER UPDATE ON orders
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION orders_changed();

-- The archive has orders that are over, in a table of their own. Checks are copied, foreign keys and triggers are not: a
-- row comes here as it was, and changes nowhere but in `orders`. A migration that adds a column to one adds it to the
-- other (tests/integration/buying/archive).
CREATE TABLE archived_orders (LIKE orders INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE archived_orders ADD PRIMARY KEY (id);
CREATE INDEX archived_orders_of_buyer ON archived_orders (buyer_id, created_at DESC, id DESC);
CREATE INDEX archived_orders_of_group ON archived_orders (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX archived_orders_of_deal ON archived_orders (deal_id, status, created_at DESC, id DESC);
CREATE INDEX archived_orders_by_invite ON archived_orders (invite_code) WHERE invite_code IS NOT NULL;
CREATE INDEX archived_orders_paid_by_card ON archived_orders (card_digest)
    WHERE card_digest IS NOT NULL AND status IN ('captured', 'partially_refunded');

-- One recorded request: (principal, method and path, key) hashed, the body hashed, and the order it made.
-- An abandoned row is a tombstone: the seat placed for `order_id` was taken back, so its late insert must fail.
CREATE TABLE idempotency_keys (
    request_id bytea PRIMARY KEY CONSTRAINT request_id_size CHECK (octet_length(request_id) = 16),
    body_digest bytea NOT NULL,
    order_id text NOT NULL,
    abandoned boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT app_now()
);
CREATE INDEX idempotency_keys_age ON idempotency_keys USING brin (created_at);

-- Live units of a buyer in a deal, across its groups and lanes.
CREATE TABLE deal_buyers (
    deal_id text NOT NULL,
    buyer_id text NOT NULL,
    units integer NOT NULL CONSTRAINT deal_buyer_units CHECK (units >= 0),
    PRIMARY KEY (deal_id, buyer_id)
);

-- What Redis must still be told about seats: freed (its stock and room come back) or retired (paid for, so
-- only its memory comes back). Drained by workers; applying a row twice changes nothing.
CREATE TABLE seat_releases (
    order_id text PRIMARY KEY,
    deal_id text NOT NULL,
    lane_no integer NOT NULL,
    request_id bytea NOT NULL,
    retired boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    due_at timestamptz NOT NULL DEFAULT app_now()
);
CREATE INDEX seat_releases_due ON seat_releases (due_at);
