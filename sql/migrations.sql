-- What the migration runner asks of a database. It works before the first migration, so it cannot use app_now().

-- name: has_table
-- Tells whether this database was ever migrated.
SELECT to_regclass('schema_migrations') IS NOT NULL;

-- name: create_table
-- Makes the record of applied migrations.
CREATE TABLE IF NOT EXISTS schema_migrations (
    number     integer PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- name: add_needs
-- Lets the record say which migration a version must know to run beside each; null where every version before runs on.
ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS needs integer;

-- name: list_applied
-- Reads the migrations this database has, oldest first; the record may be from before `needs` was added to it.
SELECT number, name, sha256, (to_jsonb(m) ->> 'needs')::integer AS needs FROM schema_migrations m ORDER BY number;

-- name: try_lock
-- Takes the runner's session lock if nobody has it, and never waits for it.
SELECT pg_try_advisory_lock($1::bigint);

-- name: bound_waits
-- Limits how long a migration waits for locks ($1) and runs a statement ($2), for its transaction or ($3 false) the session.
SELECT set_config('lock_timeout', $1::text, $3::boolean), set_config('statement_timeout', $2::text, $3::boolean);

-- name: record_applied
-- Notes that a migration was applied.
INSERT INTO schema_migrations (number, name, sha256, needs)
VALUES ($1::integer, $2::text, $3::text, $4::integer);
