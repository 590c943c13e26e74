-- What the kit does to any database it measures on.

-- name: analyse
-- Brings the planner's statistics up to date, which autovacuum does within a minute.
ANALYZE;
