-- Groups, orders, and the constraints that keep them true whatever Redis says.

-- `open -> closing -> settling -> succeeded | failed`; drawn in ARCHITECTURE.md.
CREATE FUNCTION group_may_become(old_status text, new_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE old_status
        WHEN 'open' THEN new_status = 'closing'
        WHEN 'closing' THEN new_status = 'settling'
        WHEN 'settling' THEN new_status IN ('succeeded', 'failed')
        ELSE false
    END
$$;

CREATE FUNCTION order_may_become(old_status text, new_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE old_status
        WHEN 'held' THEN new_status IN ('authorised', 'declined', 'expired', 'cancelled')
        WHEN 'authorised' THEN new_status IN ('captured', 'cancelled', 'released', 'payment_failed')
        WHEN 'captured' THEN new_status IN ('partially_refunded', 'refunded')
        WHEN 'partially_refunded' THEN new_status = 'refunded'
        ELSE false
    END
$$;

CREATE FUNCTION refuse_transition() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '% % may not go from % to %', TG_TABLE_NAME, OLD.id, OLD.status, NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END
$$;

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
    )
);
CREATE INDEX groups_of_lane ON groups (deal_id, lane_no, opened_at);
CREATE INDEX groups_open_of_deal ON groups (deal_id, deadline) WHERE status = 'open';

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
    CONSTRAINT order_seat_in_group CHECK (
        (group_id IS NULL) = (seat IS NULL) AND (group_id IS NULL) = (group_capacity IS NULL)
        AND seat BETWEEN 1 AND group_capacity
    ),
    CONSTRAINT order_keeps_promise CHECK (final_unit_minor BETWEEN 1 AND promised_unit_minor),
    CONSTRAINT order_priced_when_charged CHECK (
        final_unit_minor IS NOT NULL OR status NOT IN ('captured', 'partially_refunded', 'refunded', 'payment_failed')
    )
);
-- A live order is one whose status is not one of the five dead ends below. The same list stands in
-- order_is_live; the two partial indexes cannot call it and stay cheap.
CREATE FUNCTION order_is_live(status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed') $$;

CREATE UNIQUE INDEX order_seat_once ON orders (group_id, seat)
    WHERE status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed');
CREATE UNIQUE INDEX order_buyer_once ON orders (group_id, buyer_id)
    WHERE status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed');
CREATE INDEX orders_of_buyer ON orders (buyer_id, created_at DESC, id DESC);
CREATE INDEX orders_unpaid ON orders (hold_until) WHERE status = 'held';
CREATE INDEX orders_of_lane ON orders (deal_id, lane_no, created_at);

CREATE TRIGGER order_transition
BEFORE UPDATE ON orders FOR EACH ROW
WHEN (OLD.status <> NEW.status AND NOT order_may_become(OLD.status, NEW.status))
EXECUTE FUNCTION refuse_transition();

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

-- Whatever ends an order gives back what it held, in the same statement: the group's headcount, the buyer's
-- units, the lane's stock, and the seat in Redis. Rows are locked in id order before they are updated.
CREATE FUNCTION orders_changed() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM FROM new_rows n JOIN old_rows o USING (id) WHERE n.status <> o.status LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    PERFORM FROM group_progress p
    WHERE p.group_id IN (SELECT n.group_id FROM new_rows n JOIN old_rows o USING (id) WHERE n.status <> o.status)
    ORDER BY p.group_id FOR NO KEY UPDATE;
    UPDATE group_progress p
    SET headcount = p.headcount + m.heads,
        check_at = CASE
            WHEN p.check_at IS NOT NULL AND (p.restless OR p.headcount + m.heads >= p.capacity)
            THEN least(p.check_at, app_now())
            ELSE p.check_at
        END
    FROM (
        SELECT n.group_id,
            count(*) FILTER (WHERE n.status = 'authorised')
            - count(*) FILTER (WHERE o.status = 'authorised' AND n.status = 'cancelled') AS heads
        FROM new_rows n JOIN old_rows o USING (id)
        WHERE n.status <> o.status AND n.group_id IS NOT NULL
        GROUP BY n.group_id
    ) m
    WHERE p.group_id = m.group_id;

    INSERT INTO seat_releases (order_id, deal_id, lane_no, request_id, retired)
    SELECT n.id, n.deal_id, n.lane_no, n.request_id, n.status = 'captured'
    FROM new_rows n JOIN old_rows o USING (id)
    WHERE (order_is_live(o.status) AND NOT order_is_live(n.status))
        OR (n.status = 'captured' AND o.status = 'authorised')
    ORDER BY n.id
    ON CONFLICT (order_id) DO NOTHING;

    PERFORM FROM deal_buyers b
    WHERE (b.deal_id, b.buyer_id) IN (
        SELECT n.deal_id, n.buyer_id FROM new_rows n JOIN old_rows o USING (id)
        WHERE order_is_live(o.status) AND NOT order_is_live(n.status)
    )
    ORDER BY b.deal_id, b.buyer_id FOR NO KEY UPDATE;
    UPDATE deal_buyers b SET units = b.units - r.units
    FROM (
        SELECT n.deal_id, n.buyer_id, sum(n.quantity) AS units
        FROM new_rows n JOIN old_rows o USING (id)
        WHERE order_is_live(o.status) AND NOT order_is_live(n.status)
        GROUP BY n.deal_id, n.buyer_id
    ) r
    WHERE b.deal_id = r.deal_id AND b.buyer_id = r.buyer_id;

    PERFORM FROM lanes l
    WHERE (l.deal_id, l.lane_no) IN (
        SELECT n.deal_id, n.lane_no FROM new_rows n JOIN old_rows o USING (id)
        WHERE order_is_live(o.status) AND NOT order_is_live(n.status)
    )
    ORDER BY l.deal_id, l.lane_no FOR NO KEY UPDATE;
    UPDATE lanes l SET sold_units = l.sold_units - r.units
    FROM (
        SELECT n.deal_id, n.lane_no, sum(n.quantity) AS units
        FROM new_rows n JOIN old_rows o USING (id)
        WHERE order_is_live(o.status) AND NOT order_is_live(n.status)
        GROUP BY n.deal_id, n.lane_no
    ) r
    WHERE l.deal_id = r.deal_id AND l.lane_no = r.lane_no;
    RETURN NULL;
END
$$;

CREATE TRIGGER orders_changed
AFTER UPDATE ON orders
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION orders_changed();
