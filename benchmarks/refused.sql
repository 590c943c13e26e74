-- What *refused* asks Postgres about itself.

-- name: transactions
-- Answers how many transactions have ended in this database, as far as processes have told by now.
SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database();
