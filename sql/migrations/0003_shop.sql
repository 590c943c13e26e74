-- What merchants offer: products, their variants and the words they are found by; deals.
-- uses: clock, deals, search

CREATE TABLE products (
    id text PRIMARY KEY,
    merchant_id text NOT NULL REFERENCES merchants,
    title text NOT NULL CONSTRAINT product_title_size CHECK (length(title) BETWEEN 1 AND 200),
    description text NOT NULL DEFAULT '' CONSTRAINT product_description_size CHECK (length(description) <= 10000),
    images jsonb NOT NULL DEFAULT '[]' CONSTRAINT product_images_list CHECK (jsonb_typeof(images) = 'array'),
    feed_ref text,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    updated_at timestamptz NOT NULL DEFAULT app_now(),
    newest_key bigint NOT NULL GENERATED ALWAYS AS (-epoch_us(created_at)) STORED,
    -- Drafts of a feed are hidden from shoppers. A deal made before its product was hidden goes on for those who have its
    -- address, because groups of it may be open; nobody else is led to it.
    visibility text NOT NULL DEFAULT 'public' CONSTRAINT product_visibility CHECK (visibility IN ('public', 'hidden')),
    CONSTRAINT product_feed_ref UNIQUE (merchant_id, feed_ref)
);
CREATE INDEX products_newest ON products (newest_key, id);
CREATE INDEX products_of_merchant ON products (merchant_id, newest_key, id);
CREATE TRIGGER products_changed AFTER UPDATE ON products
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION products_changed();

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
    -- Options are [name, value] pairs, because jsonb does not keep the order of an object's keys.
    options jsonb NOT NULL DEFAULT '[]' CONSTRAINT variant_options_list CHECK (jsonb_typeof(options) = 'array'),
    images jsonb NOT NULL DEFAULT '[]' CONSTRAINT variant_images_list CHECK (jsonb_typeof(images) = 'array'),
    -- A feed may swap the SKUs of two variants in one statement, so they are compared when it ends.
    CONSTRAINT variant_sku_once UNIQUE (product_id, sku) DEFERRABLE INITIALLY IMMEDIATE,
    CONSTRAINT variant_feed_ref UNIQUE (merchant_id, feed_ref)
);
CREATE INDEX variants_by_price ON variants (currency, list_price_minor, product_id);
CREATE TRIGGER variants_added AFTER INSERT ON variants
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION variants_added();
CREATE TRIGGER variants_changed AFTER UPDATE ON variants
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION variants_changed();
CREATE TRIGGER variants_removed AFTER DELETE ON variants
REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION variants_removed();

-- The words a product is found by, kept by the triggers above.
CREATE TABLE product_search (
    product_id text PRIMARY KEY REFERENCES products ON DELETE CASCADE,
    words tsvector NOT NULL
);
CREATE INDEX product_search_words ON product_search USING gin (words);

-- The lowest price is that of the last tier, and a discount of a quarter is 2500. A deal without an end ends last.
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
    newest_key bigint NOT NULL GENERATED ALWAYS AS (-epoch_us(created_at)) STORED,
    ends_key bigint NOT NULL GENERATED ALWAYS AS (coalesce(epoch_us(ends_at), 9223372036854775807)) STORED,
    lowest_price_minor bigint NOT NULL
        GENERATED ALWAYS AS (tier_prices_minor[cardinality(tier_prices_minor)]) STORED,
    discount_key bigint NOT NULL GENERATED ALWAYS AS (
        -((list_price_minor - tier_prices_minor[cardinality(tier_prices_minor)]) * 10000 / list_price_minor)
    ) STORED,
    words tsvector NOT NULL GENERATED ALWAYS AS (search_document(title)) STORED,
    -- Whether members of its groups are told how it goes; merchants may switch that off.
    nudges boolean NOT NULL DEFAULT true,
    -- When the units its buyers had were forgotten. Limits per buyer end with their deal.
    limits_forgotten_at timestamptz,
    -- How many seats of a group may be paid by cards that never paid its merchant; null for any number. Somebody with many
    -- cards pulls the price for others down by so many heads, and by no more.
    new_cards_per_group integer CONSTRAINT deal_new_cards_range CHECK (new_cards_per_group BETWEEN 0 AND 100000),
    CONSTRAINT deal_headcounts CHECK (min_headcount BETWEEN 1 AND max_headcount AND max_headcount <= 100000),
    CONSTRAINT deal_window CHECK (ends_at > starts_at),
    CONSTRAINT deal_ladder CHECK (
        ladder_is_valid(tier_headcounts, tier_prices_minor, min_headcount, max_headcount, list_price_minor)
    )
);
CREATE INDEX deals_newest ON deals (newest_key, id);
CREATE INDEX deals_of_merchant ON deals (merchant_id, newest_key, id);
CREATE INDEX deals_of_product ON deals (product_id, newest_key, id);
CREATE INDEX deals_of_variant ON deals (variant_id, newest_key, id);
CREATE INDEX deals_running ON deals (ends_key, id) WHERE status <> 'ended';
CREATE INDEX deals_cheapest ON deals (lowest_price_minor, id);
CREATE INDEX deals_cheapest_in_currency ON deals (currency, lowest_price_minor, id);
CREATE INDEX deals_most_reduced ON deals (discount_key, id);
CREATE INDEX deals_words ON deals USING gin (words);
-- Deals whose lanes are kept even.
CREATE INDEX deals_of_several_lanes ON deals (id) WHERE lane_count > 1 AND status = 'active';
CREATE INDEX deals_to_forget ON deals (deal_ended_at(status, ends_at, updated_at)) WHERE limits_forgotten_at IS NULL;
