-- Statements about the database server itself, used at boot and by the doctor.

-- name: server_settings
-- Answers name and value of the settings that durability and connections depend on, the version, and whether
-- it is a standby.
SELECT name, setting
FROM pg_catalog.pg_settings
WHERE name IN (
    'fsync', 'synchronous_commit', 'full_page_writes', 'server_version', 'max_connections',
    'superuser_reserved_connections'
)
UNION ALL
SELECT 'in_recovery', CASE WHEN pg_is_in_recovery() THEN 'on' ELSE 'off' END
ORDER BY name;

-- name: set_session
-- Sets the settings $1 of this session to the values $2.
SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS asked (name, value);

-- name: mark_session
-- Leaves a mark in this session.
SELECT set_config('pintuan.mark', $1::text, false);

-- name: session_mark
-- Answers the mark that was left in this session, if any.
SELECT current_setting('pintuan.mark', true);
