-- The clock, merchants, products, variants, deals and the lanes their stock is split over.

-- The one "now" of every statement. It is the start of the statement, so that an index on a due time
-- can be used, shifted by a connection setting that only development may set.
CREATE FUNCTION app_now() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT statement_timestamp()
        + coalesce(nullif(current_setting('pintuan.sim_offset_ms', true), ''), '0')::bigint
        * interval '1 millisecond'
$$;

CREATE TABLE merchants (
    id text PRIMARY KEY CONSTRAINT merchant_id_size CHECK (length(id) BETWEEN 1 AND 128),
    created_at timestamptz NOT NULL DEFAULT app_now()
);

CREATE TABLE products (
    id text PRIMARY KEY,
    merchant_id text NOT NULL REFERENCES merchants,
    title text NOT NULL CONSTRAINT product_title_size CHECK (length(title) BETWEEN 1 AND 200),
    description text NOT NULL DEFAULT '' CONSTRAINT product_description_size CHECK (length(description) <= 10000),
    images jsonb NOT NULL DEFAULT '[]' CONSTRAINT product_images_list CHECK (jsonb_typeof(images) = 'array'),
    feed_ref text,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    updated_at timestamptz NOT NULL DEFAULT app_now(),
    CONSTRAINT product_feed_ref UNIQUE (merchant_id, feed_ref)
);
CREATE INDEX products_newest ON products (created_at DESC, id DESC);

CREATE TABLE variants (
    id text PRIMARY KEY,
    product_id text NOT NULL REFERENCES products,
    merchant_id text NOT NULL REFERENCES merchants,
    position integer NOT NULL,
    sku text NOT NULL CONSTRAINT variant_sku_size CHECK (length(sku) BETWEEN 1 AND 100),
    title text NOT NULL CONSTRAINT variant_title_size CHECK (length(title) BETWEEN 1 AND 200),
    list_price_minor bigint NOT NULL CONSTRAINT variant_price_range CHECK (list_price_minor BETWEEN 1 AND 1000000000000),
    currency text NOT NULL CONSTRAINT variant_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    attributes jsonb NOT NULL DEFAULT '{}',
    feed_ref text,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    updated_at timestamptz NOT NULL DEFAULT app_now(),
    CONSTRAINT variant_sku_once UNIQUE (product_id, sku),
    CONSTRAINT variant_feed_ref UNIQUE (merchant_id, feed_ref)
);

-- A ladder is two arrays of one length: headcounts strictly rise, prices strictly fall, and every
-- price is below the list price.
CREATE FUNCTION ladder_is_valid(
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
CREATE FUNCTION unit_price_at(
    headcounts integer[], prices bigint[], min_headcount integer, headcount integer
) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT prices[max(i)]
    FROM generate_subscripts(headcounts, 1) AS i
    WHERE headcounts[i] <= greatest(min_headcount, headcount)
$$;

CREATE TABLE deals (
    id text PRIMARY KEY,
    merchant_id text NOT NULL REFERENCES merchants,
    product_id text NOT NULL REFERENCES products,
    variant_id text NOT NULL REFERENCES variants,
    title text NOT NULL CONSTRAINT deal_title_size CHECK (length(title) BETWEEN 1 AND 200),
    status text NOT NULL DEFAULT 'active' CONSTRAINT deal_status CHECK (status IN ('active', 'paused', 'ended')),
    currency text NOT NULL CONSTRAINT deal_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    list_price_minor bigint NOT NULL CONSTRAINT deal_price_range CHECK (list_price_minor BETWEEN 1 AND 1000000000000),
    tier_headcounts integer[] NOT NULL,
    tier_prices_minor bigint[] NOT NULL,
    min_headcount integer NOT NULL,
    max_headcount integer NOT NULL,
    group_ttl_ms bigint NOT NULL CONSTRAINT deal_group_ttl CHECK (group_ttl_ms BETWEEN 1000 AND 518400000),
    starts_at timestamptz NOT NULL DEFAULT app_now(),
    ends_at timestamptz,
    stock_units bigint NOT NULL CONSTRAINT deal_stock_range CHECK (stock_units BETWEEN 1 AND 1000000000),
    per_buyer_units integer NOT NULL CONSTRAINT deal_limit_range CHECK (per_buyer_units BETWEEN 1 AND 1000000),
    lane_count integer NOT NULL DEFAULT 1 CONSTRAINT deal_lanes_range CHECK (lane_count BETWEEN 1 AND 16),
    created_at timestamptz NOT NULL DEFAULT app_now(),
    updated_at timestamptz NOT NULL DEFAULT app_now(),
    CONSTRAINT deal_headcounts CHECK (min_headcount BETWEEN 1 AND max_headcount AND max_headcount <= 100000),
    CONSTRAINT deal_window CHECK (ends_at > starts_at),
    CONSTRAINT deal_ladder CHECK (
        ladder_is_valid(tier_headcounts, tier_prices_minor, min_headcount, max_headcount, list_price_minor)
    )
);
CREATE INDEX deals_newest ON deals (created_at DESC, id DESC);
CREATE INDEX deals_of_merchant ON deals (merchant_id, created_at DESC, id DESC);

-- A lane is a shard of a deal with its own stock share. `epoch` is the version of its Redis state: it rises
-- before every rebuild and with every change of the deal.
CREATE TABLE lanes (
    deal_id text NOT NULL REFERENCES deals,
    lane_no integer NOT NULL CONSTRAINT lane_no_range CHECK (lane_no >= 0),
    epoch bigint NOT NULL DEFAULT 1,
    stock_units bigint NOT NULL,
    sold_units bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (deal_id, lane_no),
    CONSTRAINT lane_stock CHECK (sold_units BETWEEN 0 AND stock_units)
) WITH (fillfactor = 50);

-- Adding units to a lane goes through this fence: a batch placed under another epoch must fail as a whole,
-- because its seats were given out by a Redis state that has been replaced.
CREATE FUNCTION fenced_units(units bigint, lane_epoch bigint, placed_epoch bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF lane_epoch <> placed_epoch THEN
        RAISE EXCEPTION 'lane is at epoch %, the batch was placed under %', lane_epoch, placed_epoch
            USING ERRCODE = 'PT001';
    END IF;
    RETURN units;
END
$$;
