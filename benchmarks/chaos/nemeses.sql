-- What an operator might do to Postgres by mistake.

-- name: take_no_writes
-- Lets every new transaction of every session be read-only, once the settings are read again.
ALTER SYSTEM SET default_transaction_read_only = on;

-- name: take_writes
-- Undoes that.
ALTER SYSTEM RESET default_transaction_read_only;

-- name: reload
-- Has the settings read again.
SELECT pg_reload_conf();

-- name: lock_what_is_written
-- Keeps everybody from changing groups, lanes and orders for as long as the transaction lasts; they can be read.
LOCK TABLE groups, orders, lanes IN SHARE MODE;
