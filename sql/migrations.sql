-- What the migration runner asks of a database. It works before the first migration, so it cannot use app_now().

-- name: has_table
-- Tells whether this database was ever migrated.
SELECT to_regclass('schema_migrations') IS NOT NULL;

-- name: first_applied
-- Reads the name of the migration numbered 1.
SELECT name FROM schema_migrations WHERE number = 1;

-- name: create_table
-- Makes the record of applied migrations. A version must know the migration `needs` to run beside one; null
-- where every version before runs on.
CREATE TABLE IF NOT EXISTS schema_migrations (
    number     integer PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    needs      integer
);

-- name: create_definitions_table
-- Makes the record of applied definitions.
CREATE TABLE IF NOT EXISTS schema_definitions (
    name       text PRIMARY KEY,
    version    integer NOT NULL,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- name: list_applied
-- Reads the migrations this database has, oldest first.
SELECT number, name, sha256, needs FROM schema_migrations ORDER BY number;

-- name: has_definitions_table
-- Tells whether this database was ever given a definition.
SELECT to_regclass('schema_definitions') IS NOT NULL;

-- name: list_definitions
-- Reads the definitions this database has.
SELECT name, version, sha256 FROM schema_definitions ORDER BY name;

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

-- name: check_bodies
-- Says whether Postgres looks for the tables that a function reads when the function is made ($1: on or off), for the
-- transaction.
SELECT set_config('check_function_bodies', $1::text, true);

-- name: record_definition
-- Notes that a definition was applied.
INSERT INTO schema_definitions (name, version, sha256)
VALUES ($1::text, $2::integer, $3::text)
ON CONFLICT (name) DO UPDATE
SET version = excluded.version, sha256 = excluded.sha256, applied_at = clock_timestamp();
