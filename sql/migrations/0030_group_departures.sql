-- How many authorised members left a group while it was open. A join that waited for such a cancel still sees the
-- headcount from before; by this number it notices, and reads again before it promises a price.
ALTER TABLE groups ADD COLUMN departures integer NOT NULL DEFAULT 0
    CONSTRAINT group_departures_range CHECK (departures >= 0);
