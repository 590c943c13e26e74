-- Products and deals as the API shows them.
-- version: 2
-- uses: clock, deals, offers

CREATE OR REPLACE VIEW products_shown AS
SELECT p.id, p.merchant_id, p.title, p.description, p.images, p.created_at, v.variants, p.visibility
FROM products p
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', id, 'sku', sku, 'title', title, 'options', options, 'images', images, 'attributes', attributes,
        'list_price_minor', list_price_minor, 'currency', currency
    ) ORDER BY position, id), '[]') AS variants
    FROM variants WHERE product_id = p.id
) AS v;

CREATE OR REPLACE VIEW deals_shown AS
SELECT
    d.id, d.merchant_id, d.product_id, d.variant_id, d.title,
    deal_status_at(d.status, d.starts_at, d.ends_at, app_now()) AS status,
    d.currency, d.list_price_minor, d.tier_headcounts, d.tier_prices_minor, d.min_headcount, d.max_headcount,
    d.group_ttl_ms, d.starts_at, d.ends_at, d.stock_units,
    (SELECT sum(l.sold_units) FROM lanes l WHERE l.deal_id = d.id)::bigint AS sold_units,
    d.per_buyer_units, d.lane_count, d.created_at, d.lowest_price_minor,
    unit_price_at(d.tier_headcounts, d.tier_prices_minor, d.min_headcount, 1) AS starting_price_minor,
    p.title AS product_title, p.images AS product_images, v.sku AS variant_sku, v.title AS variant_title,
    v.options AS variant_options, v.images AS variant_images, d.nudges, d.new_cards_per_group,
    (SELECT f.offer FROM offer_at(d.id, app_now()) f) AS offer
FROM deals d JOIN products p ON p.id = d.product_id JOIN variants v ON v.id = d.variant_id;
