-- Nobody loses a seat because no worker was there: what a buyer is given counts from the first attempt at their
-- payment, and from how long workers have looked, never from how long they were away.

-- When the first attempt at an operation began; null before it, and for those begun before this column was there.
ALTER TABLE payment_operations ADD COLUMN first_tried_at timestamptz;
ALTER TABLE archived_operations ADD COLUMN first_tried_at timestamptz;
CREATE OR REPLACE VIEW every_operation AS SELECT * FROM payment_operations UNION ALL SELECT * FROM archived_operations;

-- For how long workers have watched a closing group wait for attempts at its held seats' payments, and when one last
-- looked. Time in which nobody looked does not count.
ALTER TABLE group_progress
    ADD COLUMN watched_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN watched_at timestamptz;

-- Since when a payment has been tried; null as long as nobody has.
CREATE FUNCTION tried_since(attempts integer, first_tried_at timestamptz, created_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN attempts > 0 THEN coalesce(first_tried_at, created_at) END $$;

-- Whether an attempt is to be made at a payment that no worker has begun: the first one, the next one, or the
-- repetition of one whose worker died.
CREATE FUNCTION attempt_is_due(attempts integer, due_at timestamptz, ended_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT ended_at IS NULL AND (attempts = 0 OR due_at <= app_now()) $$;
