-- What Redis must still be told about buyers who are being forgotten. An erasure works through its own rows; the script
-- it calls may be called twice.
-- uses: clock

CREATE TABLE forgotten_buyers (
    buyer_id text NOT NULL,
    deal_id text NOT NULL,
    lane_no integer NOT NULL,
    -- Whose the buyer's units are now.
    alias text NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT app_now(),
    PRIMARY KEY (buyer_id, deal_id, lane_no),
    FOREIGN KEY (deal_id, lane_no) REFERENCES lanes
);
