-- What merchants' own systems are told: endpoints, an outbox written with each change, and its deliveries.
-- uses: clock

CREATE TABLE webhook_endpoints (
    id text PRIMARY KEY,
    merchant_id text NOT NULL REFERENCES merchants,
    url text NOT NULL CONSTRAINT webhook_url_size CHECK (length(url) BETWEEN 1 AND 2000),
    description text NOT NULL DEFAULT '' CONSTRAINT webhook_description_size CHECK (length(description) <= 200),
    -- The types it is told of; null for all, those that are added later included.
    events text[] CONSTRAINT webhook_events_some CHECK (cardinality(events) > 0),
    -- Its merchant disables an endpoint; one that fails for long is paused and keeps what waits for it.
    status text NOT NULL DEFAULT 'enabled'
        CONSTRAINT webhook_status CHECK (status IN ('enabled', 'paused', 'disabled')),
    paused_at timestamptz,
    notice text,
    failing_since timestamptz,
    failures integer NOT NULL DEFAULT 0 CONSTRAINT webhook_failures CHECK (failures >= 0),
    created_at timestamptz NOT NULL DEFAULT app_now(),
    updated_at timestamptz NOT NULL DEFAULT app_now(),
    CONSTRAINT webhook_paused CHECK ((status = 'paused') = (paused_at IS NOT NULL)),
    CONSTRAINT webhook_failing CHECK ((failing_since IS NULL) = (failures = 0))
) WITH (fillfactor = 80);
CREATE INDEX webhook_endpoints_of_merchant ON webhook_endpoints (merchant_id, created_at DESC, id DESC);

-- Signing secrets, encrypted under the deployment's key `kid`. The newest has no end; one it took the place of
-- signs beside it until its own.
CREATE TABLE webhook_secrets (
    endpoint_id text NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    secret_no integer NOT NULL,
    sealed bytea NOT NULL,
    kid text NOT NULL,
    ends_at timestamptz,
    PRIMARY KEY (endpoint_id, secret_no)
);
CREATE UNIQUE INDEX webhook_secret_current ON webhook_secrets (endpoint_id) WHERE ends_at IS NULL;

-- What happened to which order or group, of all that an endpoint of its merchant wants to hear. Details are read when it
-- is delivered, so no address of a buyer is kept here.
CREATE TABLE webhook_events (
    id text PRIMARY KEY DEFAULT 'evt_' || replace(gen_random_uuid()::text, '-', ''),
    merchant_id text NOT NULL,
    type text NOT NULL,
    object_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now()
);
CREATE INDEX webhook_events_of_merchant ON webhook_events (merchant_id, created_at);
CREATE INDEX webhook_events_age ON webhook_events USING brin (created_at);

-- One event on its way to one endpoint. No foreign key to endpoints: deleting one must not wait for its log,
-- which ends with its events.
CREATE TABLE webhook_deliveries (
    id text PRIMARY KEY DEFAULT 'whd_' || replace(gen_random_uuid()::text, '-', ''),
    endpoint_id text NOT NULL,
    event_id text NOT NULL REFERENCES webhook_events ON DELETE CASCADE,
    state text NOT NULL DEFAULT 'due'
        CONSTRAINT webhook_delivery_state CHECK (state IN ('due', 'in_flight', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    -- When a worker may take it; while in flight, when its lease runs out.
    due_at timestamptz NOT NULL DEFAULT app_now(),
    attempted_at timestamptz,
    status_code integer,
    failure text,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    ended_at timestamptz,
    -- When it was made due anew with others of its time, so that asking again at once does not send it again.
    replayed_at timestamptz,
    CONSTRAINT webhook_delivery_once UNIQUE (event_id, endpoint_id),
    CONSTRAINT webhook_delivery_ended CHECK ((state IN ('delivered', 'failed')) = (ended_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, due_at) WHERE state IN ('due', 'in_flight');
CREATE INDEX webhook_deliveries_in_flight ON webhook_deliveries (endpoint_id) WHERE state = 'in_flight';
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (endpoint_id, created_at DESC, id DESC);
