-- Sweeps look at lanes that somebody joined or a merchant changed. A lane at its first epoch was never made warm, so
-- Redis has nothing of it. The epoch changes with rebuilds alone, so joins go on updating lanes in place.
CREATE INDEX lanes_in_use ON lanes (deal_id, lane_no) WHERE epoch > 1;
