-- Rules of a deal: its ladder, its status, when it ended, and how its stock is split.
-- version: 1

-- A ladder is two arrays of one length: headcounts strictly rise, prices strictly fall, and every
-- price is below the list price.
CREATE OR REPLACE FUNCTION ladder_is_valid(
    headcounts integer[], prices bigint[], min_headcount integer, max_headcount integer, list_price_minor bigint
) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT cardinality(headcounts) BETWEEN 1 AND 50
        AND cardinality(headcounts) = cardinality(prices)
        AND headcounts[1] >= 1
        AND headcounts[1] <= min_headcount
        AND headcounts[cardinality(headcounts)] <= max_headcount
        AND prices[1] < list_price_minor
        AND prices[cardinality(prices)] > 0
        AND (
            SELECT bool_and(headcounts[i] > headcounts[i - 1] AND prices[i] < prices[i - 1])
            FROM generate_series(2, cardinality(headcounts)) AS i
        ) IS NOT FALSE
$$;

-- The tier at max(min_headcount, headcount): the twin of pricing.Ladder.unit_price_at, kept here because a
-- promise is fixed in the statement that records the seat.
CREATE OR REPLACE FUNCTION unit_price_at(
    headcounts integer[], prices bigint[], min_headcount integer, headcount integer
) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT prices[max(i)]
    FROM generate_subscripts(headcounts, 1) AS i
    WHERE headcounts[i] <= greatest(min_headcount, headcount)
$$;

-- The status a deal shows: the window decides unless somebody paused or ended the deal.
CREATE OR REPLACE FUNCTION deal_status_at(
    status text, starts_at timestamptz, ends_at timestamptz, moment timestamptz
) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN status = 'ended' OR ends_at <= moment THEN 'ended'
        WHEN status = 'paused' THEN 'paused'
        WHEN starts_at > moment THEN 'scheduled'
        ELSE 'active'
    END
$$;

-- When a deal ended, by hand or by its window; null for one without an end.
CREATE OR REPLACE FUNCTION deal_ended_at(status text, ends_at timestamptz, updated_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT least(ends_at, CASE status WHEN 'ended' THEN updated_at END) $$;

-- The part of `units` that falls to a lane: evenly, and what is left over one by one to the first lanes.
CREATE OR REPLACE FUNCTION lane_share(units bigint, lane_count integer, lane_no integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT units / lane_count + CASE WHEN lane_no < units % lane_count THEN 1 ELSE 0 END
$$;
