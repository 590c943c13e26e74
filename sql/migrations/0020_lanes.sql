-- What deals of several lanes need: a list of one lane's groups, units on their way between lanes, and what a change
-- of a deal means to a lane.

-- The open groups of one lane, by the time they have left. A deal's are a prefix of it.
CREATE INDEX groups_open_of_lane ON groups (deal_id, lane_no, deadline) WHERE status = 'open';
DROP INDEX groups_open_of_deal;

-- Units on their way from one lane of a deal to another: taken in Redis under `from_epoch`, moved here, given in Redis.
-- A row lasts for as long as one of these steps may have to be made again.
CREATE TABLE stock_transfers (
    id text PRIMARY KEY,
    deal_id text NOT NULL,
    from_lane integer NOT NULL,
    to_lane integer NOT NULL,
    from_epoch bigint NOT NULL,
    units bigint NOT NULL CONSTRAINT transfer_units_range CHECK (units > 0),
    moved boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    FOREIGN KEY (deal_id, from_lane) REFERENCES lanes,
    FOREIGN KEY (deal_id, to_lane) REFERENCES lanes,
    CONSTRAINT transfer_between_lanes CHECK (from_lane <> to_lane)
);
CREATE INDEX stock_transfers_of_deal ON stock_transfers (deal_id);

-- Whose lanes are kept even.
CREATE INDEX deals_of_several_lanes ON deals (id) WHERE lane_count > 1 AND status = 'active';

-- The last change of a deal as its lane saw it: it made `epoch` out of the one before, and brought so many units.
CREATE TABLE lane_changes (
    deal_id text NOT NULL,
    lane_no integer NOT NULL,
    epoch bigint NOT NULL,
    added_units bigint NOT NULL,
    PRIMARY KEY (deal_id, lane_no),
    FOREIGN KEY (deal_id, lane_no) REFERENCES lanes
);
