-- Random values that Postgres commits before Redis is told of them. One that Redis knows and Postgres does not have was
-- lost with all that came after it: a disk was put back. See groups/history.py.
CREATE TABLE history_beacons (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    value      text NOT NULL UNIQUE CHECK (value ~ '^[0-9a-f]{32}$'),
    written_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
