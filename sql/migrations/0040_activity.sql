-- What merchants, admins and operators did. Entries are added, and nothing else ever happens to them.

CREATE TABLE activity (
    id text PRIMARY KEY,
    -- Whose business it is about. No foreign key: an entry outlives what it tells of.
    merchant_id text,
    actor text NOT NULL,
    actor_role text NOT NULL CHECK (actor_role IN ('merchant', 'admin', 'operator')),
    credential text NOT NULL CHECK (credential IN ('token', 'api_key', 'command')),
    credential_id text,
    action text NOT NULL,
    object_ids text[] NOT NULL,
    changes jsonb NOT NULL,
    request_id text,
    created_at timestamptz NOT NULL DEFAULT app_now()
);

CREATE INDEX activity_of_merchant ON activity (merchant_id, created_at DESC, id DESC);
CREATE INDEX activity_by_time ON activity (created_at DESC, id DESC);
CREATE INDEX activity_of_object ON activity USING gin (object_ids);

-- An address is a person's for a while; it is kept apart, so that it can be forgotten and the entry stay.
CREATE TABLE activity_addresses (
    activity_id text PRIMARY KEY REFERENCES activity (id),
    address inet NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now()
);

CREATE INDEX activity_addresses_by_time ON activity_addresses (created_at);

CREATE FUNCTION refuse_change_of_activity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the activity log is only added to: % of % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER activity_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON activity
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_activity();

CREATE TRIGGER activity_addresses_stay BEFORE UPDATE OR TRUNCATE ON activity_addresses
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_activity();
