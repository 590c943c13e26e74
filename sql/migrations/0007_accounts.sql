-- People: accounts, how they are reached, how they sign in, and who asked to be forgotten.

CREATE TABLE accounts (
    id text PRIMARY KEY CONSTRAINT account_id_size CHECK (length(id) BETWEEN 1 AND 128),
    role text NOT NULL DEFAULT 'buyer' CONSTRAINT account_role CHECK (role IN ('buyer', 'merchant', 'admin')),
    created_at timestamptz NOT NULL DEFAULT app_now()
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

-- The one code that works for a contact now. Neither the contact nor the code can be read back: both are keyed
-- hashes (HMAC-SHA-256), because six digits under a plain hash are found in a moment.
CREATE TABLE sign_in_codes (
    contact_digest bytea PRIMARY KEY CONSTRAINT code_contact_digest CHECK (octet_length(contact_digest) = 32),
    code_digest bytea NOT NULL CONSTRAINT code_digest_size CHECK (octet_length(code_digest) = 32),
    attempts integer NOT NULL DEFAULT 0 CONSTRAINT code_attempts CHECK (attempts >= 0),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now()
);
CREATE INDEX sign_in_codes_expiry ON sign_in_codes (expires_at);

-- When something that is limited happened last, per scope and keyed hash of what it is counted under. A window
-- slides: exact counts of the last minutes, at most as many moments as the limit allows.
CREATE TABLE limit_windows (
    scope text NOT NULL,
    key_digest bytea NOT NULL CONSTRAINT limit_key_digest CHECK (octet_length(key_digest) = 32),
    moments timestamptz[] NOT NULL,
    -- From here on the row says nothing any more.
    idle_at timestamptz NOT NULL,
    PRIMARY KEY (scope, key_digest)
) WITH (fillfactor = 50);
CREATE INDEX limit_windows_idle ON limit_windows (idle_at);

-- One sign-in on one device. Its refresh token is replaced at every use; only the hash of the newest is kept, so
-- any other token that names the session is an older one of it, and whoever sends it is not to be trusted.
CREATE TABLE refresh_sessions (
    id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES accounts ON DELETE CASCADE,
    -- What a token names its session by; it is told to nobody but the token's holder.
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
