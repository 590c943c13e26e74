-- Nudges: what members of a group are told without asking; their language; pushes to an app.

-- Merchants may switch them off for a deal.
ALTER TABLE deals ADD COLUMN nudges boolean NOT NULL DEFAULT true;

CREATE OR REPLACE VIEW deals_shown AS
SELECT
    d.id, d.merchant_id, d.product_id, d.variant_id, d.title,
    deal_status_at(d.status, d.starts_at, d.ends_at, app_now()) AS status,
    d.currency, d.list_price_minor, d.tier_headcounts, d.tier_prices_minor, d.min_headcount, d.max_headcount,
    d.group_ttl_ms, d.starts_at, d.ends_at, d.stock_units,
    (SELECT sum(l.sold_units) FROM lanes l WHERE l.deal_id = d.id)::bigint AS sold_units,
    d.per_buyer_units, d.lane_count, d.created_at, d.lowest_price_minor,
    unit_price_at(d.tier_headcounts, d.tier_prices_minor, d.min_headcount, 1) AS starting_price_minor,
    p.title AS product_title, p.images AS product_images, v.sku AS variant_sku, v.title AS variant_title,
    v.options AS variant_options, v.images AS variant_images, d.nudges
FROM deals d JOIN products p ON p.id = d.product_id JOIN variants v ON v.id = d.variant_id;

-- What somebody reads, learned when they signed in; null for whoever has not since.
ALTER TABLE accounts ADD COLUMN language text CONSTRAINT account_language CHECK (language ~ '^[a-z]{2}$');

-- How people with an account are reached.
CREATE VIEW reachable AS
SELECT a.id AS account_id, a.language,
    (SELECT c.address FROM contacts c WHERE c.account_id = a.id AND c.kind = 'email') AS email,
    (SELECT c.address FROM contacts c WHERE c.account_id = a.id AND c.kind = 'phone') AS phone
FROM accounts a;

-- Whether orders of this buyer are those of somebody who was erased.
CREATE FUNCTION is_forgotten(of_buyer_id text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT EXISTS (SELECT FROM erasures e WHERE e.subject = of_buyer_id)
        OR EXISTS (SELECT FROM erasures e WHERE e.alias = of_buyer_id)
$$;

-- What a group's members have yet to be told. A row is gone once everybody was told, or nobody is to be: that, and
-- that rows are made at two moments of a group's life alone, is why nobody is told twice. No foreign key: groups
-- are opened by the hottest statement of the product.
CREATE TABLE nudges (
    group_id text NOT NULL,
    kind text NOT NULL CONSTRAINT nudge_kind CHECK (kind IN ('tier_near', 'hour_left', 'succeeded', 'failed')),
    due_at timestamptz NOT NULL,
    -- Members are told in the order of their ids, and this one was the last.
    after_buyer_id text NOT NULL DEFAULT '',
    PRIMARY KEY (group_id, kind)
) WITH (fillfactor = 80);
CREATE INDEX nudges_due ON nudges (due_at);

-- A group of less than two hours is over before anybody reads a message about how it goes.
CREATE FUNCTION group_nudged_opened() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO nudges (group_id, kind, due_at) VALUES
        (NEW.id, 'tier_near', NEW.opened_at + (NEW.deadline - NEW.opened_at) / 2),
        (NEW.id, 'hour_left', NEW.deadline - interval '1 hour')
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE TRIGGER group_nudged_opened
AFTER INSERT ON groups FOR EACH ROW
WHEN (NEW.deadline - NEW.opened_at >= interval '2 hours')
EXECUTE FUNCTION group_nudged_opened();

CREATE FUNCTION group_nudged_ended() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO nudges (group_id, kind, due_at) VALUES (NEW.id, NEW.status, app_now()) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE TRIGGER group_nudged_ended
AFTER UPDATE ON groups FOR EACH ROW
WHEN (OLD.status <> NEW.status AND NEW.status IN ('succeeded', 'failed'))
EXECUTE FUNCTION group_nudged_ended();

-- Groups that are open when this is installed.
INSERT INTO nudges (group_id, kind, due_at)
SELECT g.id, k.kind, k.due_at
FROM groups g
CROSS JOIN LATERAL (
    VALUES
        ('tier_near', g.opened_at + (g.deadline - g.opened_at) / 2),
        ('hour_left', g.deadline - interval '1 hour')
) AS k (kind, due_at)
WHERE g.status = 'open' AND g.deadline - g.opened_at >= interval '2 hours' AND k.due_at > app_now()
ON CONFLICT DO NOTHING;

-- Whoever wants no invitations may still want to know how their own group goes, and the other way round.
ALTER TABLE unsubscribes ADD COLUMN kind text NOT NULL DEFAULT 'invite'
    CONSTRAINT unsubscribe_kind CHECK (kind IN ('invite', 'nudge'));
ALTER TABLE unsubscribes DROP CONSTRAINT unsubscribes_pkey;
ALTER TABLE unsubscribes ADD PRIMARY KEY (recipient_digest, kind);

-- An app's own push service is a channel as well; it knows people by their account.
ALTER TABLE notifications DROP CONSTRAINT notification_channel;
ALTER TABLE notifications ADD CONSTRAINT notification_channel CHECK (channel IN ('email', 'sms', 'push'));
ALTER TABLE invites DROP CONSTRAINT invite_channel;
ALTER TABLE invites ADD CONSTRAINT invite_channel CHECK (channel IN ('email', 'sms', 'push'));
