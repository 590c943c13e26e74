-- Rows that a sweep failed on. Such a row leaves its queue for this list, from which it is tried ever less often, so that
-- rows that always fail keep nobody from their turn (groups/setbacks.py).
CREATE TABLE setbacks (
    sweep text NOT NULL,
    row_id text NOT NULL,
    attempts integer NOT NULL CONSTRAINT setback_attempts CHECK (attempts >= 1),
    -- The last error.
    failure text NOT NULL,
    first_at timestamptz NOT NULL DEFAULT app_now(),
    failed_at timestamptz NOT NULL DEFAULT app_now(),
    -- When it is tried next.
    look_at timestamptz NOT NULL,
    -- Since when it is tried but rarely, because it failed so often.
    set_aside_at timestamptz,
    PRIMARY KEY (sweep, row_id)
);
CREATE INDEX setbacks_due ON setbacks (look_at);
