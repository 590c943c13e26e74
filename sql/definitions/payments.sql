-- When a payment is tried.
-- version: 1
-- uses: clock

-- Since when a payment has been tried; null as long as nobody has.
CREATE OR REPLACE FUNCTION tried_since(attempts integer, first_tried_at timestamptz, created_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN attempts > 0 THEN coalesce(first_tried_at, created_at) END $$;

-- Whether an attempt is to be made at a payment that no worker has begun: the first one, the next one, or the
-- repetition of one whose worker died.
CREATE OR REPLACE FUNCTION attempt_is_due(attempts integer, due_at timestamptz, ended_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT ended_at IS NULL AND (attempts = 0 OR due_at <= app_now()) $$;
