-- Groups and orders: what may become of them, and what follows when an order changes.
-- version: 2
-- uses: clock

-- `open -> closing -> settling -> succeeded | failed`; drawn in ARCHITECTURE.md.
CREATE OR REPLACE FUNCTION group_may_become(old_status text, new_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE old_status
        WHEN 'open' THEN new_status = 'closing'
        WHEN 'closing' THEN new_status = 'settling'
        WHEN 'settling' THEN new_status IN ('succeeded', 'failed')
        ELSE false
    END
$$;

CREATE OR REPLACE FUNCTION order_may_become(old_status text, new_status text) RETURNS boolean
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

CREATE OR REPLACE FUNCTION refuse_transition() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '% % may not go from % to %', TG_TABLE_NAME, OLD.id, OLD.status, NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END
$$;

-- A live order holds a seat. The same list stands in the partial indexes of `orders`, which cannot call this and stay
-- cheap.
CREATE OR REPLACE FUNCTION order_is_live(status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed') $$;

-- Adding units to a lane goes through this fence: a batch placed under another epoch must fail as a whole,
-- because its seats were given out by a Redis state that has been replaced.
CREATE OR REPLACE FUNCTION fenced_units(units bigint, lane_epoch bigint, placed_epoch bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF lane_epoch <> placed_epoch THEN
        RAISE EXCEPTION 'lane is at epoch %, the batch was placed under %', lane_epoch, placed_epoch
            USING ERRCODE = 'PT001';
    END IF;
    RETURN units;
END
$$;

-- An order that ends gives back what it held, in the same statement: the group's headcount, the buyer's units, the
-- lane's stock, and the seat in Redis. Rows are locked in id order before they are updated. A settlement of ten thousand
-- members fixes their prices in one statement that changes no status; EXCEPT finds that out by a hash, where a join that
-- may stop at its first row would be planned as a nested loop.
--
-- What happened is told to the nouns that hear of it. A held seat is not told of, and neither is one that ends before it
-- was paid for. Members of a group that failed are told of by `group.failed`.
CREATE OR REPLACE FUNCTION orders_changed() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    moment timestamptz := app_now();
BEGIN
    IF NOT EXISTS (
        SELECT id, status, refunded_minor FROM new_rows EXCEPT SELECT id, status, refunded_minor FROM old_rows
    ) THEN
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

    -- Most statements pay for orders and end none; those have no more to give back.
    IF EXISTS (SELECT FROM new_rows n WHERE NOT order_is_live(n.status)) THEN
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
    END IF;

    INSERT INTO events (noun, type, object_id, deal_id, happened_at)
    SELECT l.noun, l.type, n.id, n.deal_id, moment
    FROM new_rows n JOIN old_rows o USING (id)
    JOIN listeners l ON l.type = 'order.' || n.status
    WHERE n.refunded_minor > o.refunded_minor
        OR (n.status <> o.status AND n.status IN ('authorised', 'captured', 'payment_failed'))
        OR (o.status = 'authorised' AND n.status = 'cancelled');
    RETURN NULL;
END
$$;

-- Whether nothing more happens to an order by itself: it has ended, or is paid for; no payment of it is open or waits
-- for a person; and Redis was told of its seat.
CREATE OR REPLACE FUNCTION order_is_over(order_id text, status text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT status NOT IN ('held', 'authorised')
        AND NOT EXISTS (
            SELECT FROM payment_operations p
            WHERE p.order_id = order_is_over.order_id AND (p.ended_at IS NULL OR p.escalated_at IS NOT NULL)
        )
        AND NOT EXISTS (SELECT FROM seat_releases r WHERE r.order_id = order_is_over.order_id)
$$;
