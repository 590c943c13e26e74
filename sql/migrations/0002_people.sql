-- Merchants and people: accounts, how they are reached and sign in, keys, messages, consents, erasures, and the log of
-- what merchants, admins and operators did.
-- uses: activity, clock

-- Merchants know a buyer by a keyed hash that means something to that merchant alone. Its key is random and kept here,
-- so that the reference outlives every rotation of the deployment's secret. The fee is the operator's at the time the
-- merchant is added (PINTUAN_PLATFORM_FEE_BPS, which every session knows), whichever statement adds it.
CREATE TABLE merchants (
    id text PRIMARY KEY CONSTRAINT merchant_id_size CHECK (length(id) BETWEEN 1 AND 128),
    created_at timestamptz NOT NULL DEFAULT app_now(),
    buyer_reference_key bytea NOT NULL
        DEFAULT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
        CONSTRAINT merchant_reference_key_size CHECK (octet_length(buyer_reference_key) = 32),
    fee_bps integer NOT NULL
        DEFAULT coalesce(nullif(current_setting('pintuan.platform_fee_bps', true), ''), '0')::integer
        CONSTRAINT merchant_fee_range CHECK (fee_bps BETWEEN 0 AND 10000)
);

CREATE TABLE accounts (
    id text PRIMARY KEY CONSTRAINT account_id_size CHECK (length(id) BETWEEN 1 AND 128),
    role text NOT NULL DEFAULT 'buyer' CONSTRAINT account_role CHECK (role IN ('buyer', 'merchant', 'admin')),
    created_at timestamptz NOT NULL DEFAULT app_now(),
    -- The language somebody reads, learned when they signed in; null until then.
    language text CONSTRAINT account_language CHECK (language ~ '^[a-z]{2}$')
);

-- An address in its normal form belongs to one account, and an account has at most one of each kind.
CREATE TABLE contacts (
    kind text NOT NULL CONSTRAINT contact_kind CHECK (kind IN ('email', 'phone')),
    address text NOT NULL CONSTRAINT contact_address_size CHECK (length(address) BETWEEN 3 AND 320),
    account_id text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    PRIMARY KEY (kind, address),
    CONSTRAINT contact_kind_once UNIQUE (account_id, kind)
);

-- The newest code of a contact, whoever asked for it. Neither the contact nor the code can be read back: both are keyed
-- hashes (HMAC-SHA-256), because six digits under a plain hash are found in a moment.
CREATE TABLE sign_in_codes (
    contact_digest bytea PRIMARY KEY CONSTRAINT code_contact_digest CHECK (octet_length(contact_digest) = 32),
    code_digest bytea NOT NULL CONSTRAINT code_digest_size CHECK (octet_length(code_digest) = 32),
    attempts integer NOT NULL DEFAULT 0 CONSTRAINT code_attempts CHECK (attempts >= 0),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now()
);
CREATE INDEX sign_in_codes_expiry ON sign_in_codes (expires_at);

-- Sign-in codes by who asked for them, so that a stranger who knows an address neither uses its owner's code up nor
-- replaces it.
CREATE TABLE asked_codes (
    contact_digest bytea NOT NULL CONSTRAINT asked_contact_digest CHECK (octet_length(contact_digest) = 32),
    -- A keyed hash of the network address that asked.
    client_digest bytea NOT NULL CONSTRAINT asked_client_digest CHECK (octet_length(client_digest) = 32),
    code_digest bytea NOT NULL CONSTRAINT asked_code_digest CHECK (octet_length(code_digest) = 32),
    attempts integer NOT NULL DEFAULT 0 CONSTRAINT asked_attempts CHECK (attempts >= 0),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    PRIMARY KEY (contact_digest, client_digest)
);
CREATE INDEX asked_codes_expiry ON asked_codes (expires_at);

-- Networks from which somebody signed in with a contact.
CREATE TABLE known_clients (
    contact_digest bytea NOT NULL CONSTRAINT known_contact_digest CHECK (octet_length(contact_digest) = 32),
    client_digest bytea NOT NULL CONSTRAINT known_client_digest CHECK (octet_length(client_digest) = 32),
    seen_at timestamptz NOT NULL DEFAULT app_now(),
    PRIMARY KEY (contact_digest, client_digest)
);
CREATE INDEX known_clients_age ON known_clients (seen_at);

-- One sign-in on one device. Its refresh token is replaced at every use; only the hash of the newest is kept, so
-- any other token that names the session is an older one of it, and whoever sends it is not to be trusted.
CREATE TABLE refresh_sessions (
    id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    -- The session's name in a token; it is told to nobody but the token's holder.
    family bytea NOT NULL CONSTRAINT session_family UNIQUE CHECK (octet_length(family) = 16),
    secret_digest bytea NOT NULL CONSTRAINT session_secret_digest CHECK (octet_length(secret_digest) = 32),
    rotations integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    refreshed_at timestamptz NOT NULL DEFAULT app_now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT session_window CHECK (expires_at > created_at)
) WITH (fillfactor = 80);
CREATE INDEX refresh_sessions_of_account ON refresh_sessions (account_id, created_at);
CREATE INDEX refresh_sessions_expiry ON refresh_sessions (expires_at);

-- A subject that asked to be forgotten. The row outlives its last access token and its last running order, because
-- it says under which alias those orders are kept; then it goes as well.
CREATE TABLE erasures (
    subject text PRIMARY KEY CONSTRAINT erasure_subject_size CHECK (length(subject) BETWEEN 1 AND 128),
    alias text NOT NULL CONSTRAINT erasure_alias UNIQUE,
    erased_at timestamptz NOT NULL DEFAULT app_now(),
    look_at timestamptz NOT NULL DEFAULT app_now()
);
CREATE INDEX erasures_age ON erasures (erased_at);
CREATE INDEX erasures_due ON erasures (look_at);

-- Keys with which a merchant's own systems call the API. Only a digest of the secret is kept: it is 256 random
-- bits, so there is nothing to guess and no need for a slow hash.
CREATE TABLE api_keys (
    id text PRIMARY KEY CONSTRAINT api_key_id_shape CHECK (id ~ '^key_[0-9a-f]{32}$'),
    merchant_id text NOT NULL REFERENCES merchants,
    name text NOT NULL CONSTRAINT api_key_name_size CHECK (length(name) BETWEEN 1 AND 100),
    secret_digest bytea NOT NULL CONSTRAINT api_key_digest_size CHECK (octet_length(secret_digest) = 32),
    created_at timestamptz NOT NULL DEFAULT app_now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    CONSTRAINT api_key_life CHECK (expires_at > created_at)
);
CREATE INDEX api_keys_of_merchant ON api_keys (merchant_id, created_at DESC, id DESC);

-- Messages to people. Recipient and text are encrypted, and wiped once the message was delivered. An app's own push
-- service is a channel as well; it knows people by their account.
CREATE TABLE notifications (
    id text PRIMARY KEY,
    kind text NOT NULL CONSTRAINT notification_kind_size CHECK (length(kind) BETWEEN 1 AND 40),
    channel text NOT NULL CONSTRAINT notification_channel CHECK (channel IN ('email', 'sms', 'push')),
    -- A keyed hash of the address, to find a person's messages by.
    recipient_digest bytea NOT NULL CONSTRAINT notification_recipient CHECK (octet_length(recipient_digest) = 32),
    sealed bytea,
    state text NOT NULL DEFAULT 'due'
        CONSTRAINT notification_state CHECK (state IN ('due', 'in_flight', 'sent', 'failed', 'expired')),
    attempts integer NOT NULL DEFAULT 0,
    -- When a worker may take the row; while in flight, when its lease runs out.
    due_at timestamptz NOT NULL DEFAULT app_now(),
    -- Not worth delivering any more.
    expires_at timestamptz NOT NULL,
    failure text,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    ended_at timestamptz,
    -- Somebody asked for it and waits; others are told without having asked.
    awaited boolean NOT NULL DEFAULT false,
    -- The merchant whose sale it is about, or nothing: messages of one leave room for those of others.
    sender text NOT NULL DEFAULT '',
    CONSTRAINT notification_ended CHECK ((state IN ('sent', 'failed', 'expired')) = (ended_at IS NOT NULL)),
    CONSTRAINT notification_readable CHECK (sealed IS NOT NULL OR ended_at IS NOT NULL)
);
CREATE INDEX notifications_awaited ON notifications (channel, due_at) WHERE awaited AND state IN ('due', 'in_flight');
CREATE INDEX notifications_unasked ON notifications (channel, sender, due_at)
    WHERE NOT awaited AND state IN ('due', 'in_flight');
CREATE INDEX notifications_of_recipient ON notifications (recipient_digest, created_at DESC);
CREATE INDEX notifications_ended ON notifications (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX notifications_unwiped ON notifications (ended_at) WHERE ended_at IS NOT NULL AND sealed IS NOT NULL;
CREATE INDEX notifications_newest ON notifications (created_at DESC, id DESC) WHERE sealed IS NOT NULL;

-- Recipients who want no more messages of a kind: somebody who wants no invitations may still want to know how their own
-- group goes, and the other way round. The address is kept encrypted, so that its hash can be made again when the
-- deployment's secret changes: nobody should have to say it twice.
CREATE TABLE unsubscribes (
    recipient_digest bytea NOT NULL CONSTRAINT unsubscribe_recipient CHECK (octet_length(recipient_digest) = 32),
    kid text NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    kind text NOT NULL DEFAULT 'invite' CONSTRAINT unsubscribe_kind CHECK (kind IN ('invite', 'nudge')),
    PRIMARY KEY (recipient_digest, kind)
);
CREATE INDEX unsubscribes_by_key ON unsubscribes (kid);

-- The log of what merchants, admins and operators did. Entries are added, and nothing else ever happens to them.
CREATE TABLE activity (
    id text PRIMARY KEY,
    -- The merchant whose business it is about. No foreign key: an entry outlives what it tells of.
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
CREATE TRIGGER activity_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON activity
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_activity();

-- An address is a person's for a while; it is kept apart, so that it can be forgotten and the entry stay.
CREATE TABLE activity_addresses (
    activity_id text PRIMARY KEY REFERENCES activity (id),
    address inet NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now()
);
CREATE INDEX activity_addresses_by_time ON activity_addresses (created_at);
CREATE TRIGGER activity_addresses_stay BEFORE UPDATE OR TRUNCATE ON activity_addresses
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_activity();
