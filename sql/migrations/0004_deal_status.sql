-- What a deal is now, and how its stock is split: rules of their own, because several statements need them.

-- The status a deal shows: the window decides unless somebody paused or ended the deal.
CREATE FUNCTION deal_status_at(
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

-- The part of `units` that falls to a lane: evenly, and what is left over one by one to the first lanes.
CREATE FUNCTION lane_share(units bigint, lane_count integer, lane_no integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT units / lane_count + CASE WHEN lane_no < units % lane_count THEN 1 ELSE 0 END
$$;

CREATE VIEW deals_shown AS
SELECT
    d.id, d.merchant_id, d.product_id, d.variant_id, d.title,
    deal_status_at(d.status, d.starts_at, d.ends_at, app_now()) AS status,
    d.currency, d.list_price_minor, d.tier_headcounts, d.tier_prices_minor, d.min_headcount, d.max_headcount,
    d.group_ttl_ms, d.starts_at, d.ends_at, d.stock_units,
    (SELECT sum(l.sold_units) FROM lanes l WHERE l.deal_id = d.id)::bigint AS sold_units,
    d.per_buyer_units, d.lane_count, d.created_at
FROM deals d;
