-- What every shelf stands on: limits, turns and setbacks of work in rounds, and the history Redis compares itself with.
-- uses: clock

-- When something that is limited happened last, per scope and keyed hash of what it is counted under. A window
-- slides: exact counts of the last minutes, at most as many moments as the limit allows.
CREATE TABLE limit_windows (
    scope text NOT NULL,
    key_digest bytea NOT NULL CONSTRAINT limit_key_digest CHECK (octet_length(key_digest) = 32),
    moments timestamptz[] NOT NULL,
    -- From here on the row says nothing any more.
    idle_at timestamptz NOT NULL,
    PRIMARY KEY (scope, key_digest)
) WITH (fillfactor = 50);
CREATE INDEX limit_windows_idle ON limit_windows (idle_at);

-- The next turn at work that one worker does for all: a sweep that another worker began is not begun before `next_at`.
CREATE TABLE sweep_turns (
    sweep text PRIMARY KEY,
    next_at timestamptz NOT NULL
);

-- Rows that a sweep failed on. A failed row leaves its queue for this list, from which it is tried ever less often, so
-- that rows that always fail do not hold up the rest (groups/setbacks.py).
CREATE TABLE setbacks (
    sweep text NOT NULL,
    row_id text NOT NULL,
    attempts integer NOT NULL CONSTRAINT setback_attempts CHECK (attempts >= 1),
    -- The last error.
    failure text NOT NULL,
    first_at timestamptz NOT NULL DEFAULT app_now(),
    failed_at timestamptz NOT NULL DEFAULT app_now(),
    -- The time of the next attempt.
    look_at timestamptz NOT NULL,
    -- Since when attempts are rare, because so many failed.
    set_aside_at timestamptz,
    PRIMARY KEY (sweep, row_id)
);
CREATE INDEX setbacks_due ON setbacks (look_at);

-- Random values that Postgres commits before Redis is told of them. A value that Redis knows and Postgres lacks was lost
-- with all that came after it: a disk was put back (groups/history.py).
CREATE TABLE history_beacons (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    value      text NOT NULL UNIQUE CHECK (value ~ '^[0-9a-f]{32}$'),
    written_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
