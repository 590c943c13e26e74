-- Sign-in codes by who asked for them, so that a stranger who knows an address neither uses its owner's code up nor
-- replaces it. What is in sign_in_codes is the newest code of a contact, whoever asked.

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
