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
