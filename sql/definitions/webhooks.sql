-- What is written to the outbox of webhooks.
-- version: 1
-- uses: clock

-- Whether anybody wants to hear of a merchant's events of this type; a paused endpoint will, once it is back.
CREATE OR REPLACE FUNCTION webhook_wanted(of_merchant_id text, of_type text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT EXISTS (
        SELECT FROM webhook_endpoints e
        WHERE e.merchant_id = of_merchant_id AND e.status <> 'disabled'
            AND (e.events IS NULL OR of_type = ANY(e.events))
    )
$$;

-- A held seat is not told of, and so neither is one that ends before it was paid for. Members of a group that
-- failed are told of by `group.failed`.
CREATE OR REPLACE FUNCTION orders_told() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM FROM webhook_endpoints WHERE status <> 'disabled' LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO webhook_events (merchant_id, type, object_id)
    SELECT d.merchant_id, 'order.' || n.status, n.id
    FROM new_rows n JOIN old_rows o USING (id)
    JOIN deals d ON d.id = n.deal_id
    WHERE (
            n.refunded_minor > o.refunded_minor
            OR (n.status <> o.status AND n.status IN ('authorised', 'captured', 'payment_failed'))
            OR (o.status = 'authorised' AND n.status = 'cancelled')
        )
        AND webhook_wanted(d.merchant_id, 'order.' || n.status)
    ORDER BY n.id;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION group_told() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    told text := CASE TG_OP WHEN 'INSERT' THEN 'group.opened' ELSE 'group.' || NEW.status END;
BEGIN
    INSERT INTO webhook_events (merchant_id, type, object_id)
    SELECT d.merchant_id, told, NEW.id
    FROM deals d
    WHERE d.id = NEW.deal_id AND webhook_wanted(d.merchant_id, told);
    RETURN NULL;
END
$$;
