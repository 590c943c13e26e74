-- Statements about the database server itself, used at boot and by the doctor.

-- name: database_exists
-- Answers whether the server has a database of this name.
SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1);

-- name: create_embedded_database
-- Creates the one database of the embedded server; CREATE DATABASE takes no parameters.
CREATE DATABASE pintuan;

-- name: server_settings
-- Answers name and value of the settings that durability rests on, and the server's version.
SELECT name, setting
FROM pg_catalog.pg_settings
WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'server_version', 'max_connections')
ORDER BY name;
