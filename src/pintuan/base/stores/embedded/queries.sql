-- The statements that give the embedded server its database.

-- name: database_exists
-- Answers whether the server has a database of this name.
SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1);

-- name: create_embedded_database
-- Creates the one database of the embedded server; CREATE DATABASE takes no parameters.
CREATE DATABASE pintuan;
