-- The time that tokens are judged by.

-- name: read_server_time
-- Answers the server's real time in Unix seconds; a simulated offset must not reach tokens.
SELECT extract(epoch FROM clock_timestamp())::float8 AS now_s;
