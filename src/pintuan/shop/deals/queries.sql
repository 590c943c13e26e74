-- Deals and their lanes. A change locks the deal's row first, then its lanes by ascending number.

-- name: lock_variant
-- Keeps an import from moving a variant to another product while a deal is made on it.
SELECT FROM variants WHERE id = $1 FOR SHARE;

-- name: select_variant_on_offer
-- Answers what a deal takes over from its variant, and the time the deal is made at. A change of the product waits for the
-- deal, which would otherwise keep an offer of before the change.
SELECT v.merchant_id, v.product_id, v.list_price_minor, v.currency, p.title AS product_title, p.visibility, app_now() AS now
FROM variants v JOIN products p ON p.id = v.product_id
WHERE v.id = $1
FOR SHARE OF p;

-- name: lock_offers
-- Keeps others from adding to a merchant's offers until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('offers ' || $1, 0));

-- name: offered_minor
-- Sums up what all deals of merchant $1 in currency $2 come to at their list prices.
SELECT coalesce(sum(list_price_minor::numeric * stock_units), 0) FROM deals WHERE merchant_id = $1 AND currency = $2;

-- name: watched_lanes
-- Counts the lanes of merchant $1 that sweeps look at: of deals that are not over, paused ones too, and of those over that
-- still have something to sweep.
SELECT count(*) FROM watched_lanes WHERE merchant_id = $1;

-- name: insert_deal
-- Adds a deal together with its lanes, which share the stock evenly.
WITH deal AS (
    INSERT INTO deals (
        id, merchant_id, product_id, variant_id, title, currency, list_price_minor, tier_headcounts,
        tier_prices_minor, min_headcount, max_headcount, group_ttl_ms, starts_at, ends_at, stock_units,
        per_buyer_units, lane_count, nudges, new_cards_per_group
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
    RETURNING id, stock_units, lane_count
)
INSERT INTO lanes (deal_id, lane_no, stock_units)
SELECT d.id, n, lane_share(d.stock_units, d.lane_count, n)
FROM deal d CROSS JOIN generate_series(0, $17::integer - 1) AS n;

-- name: select_deal
-- Answers one deal as it is shown now.
SELECT * FROM deals_shown WHERE id = $1;

-- name: list_deals
-- Answers a page of deals in the order $8 that pass the filters $1 to $7, from just behind ($9, $10); with $12 of hidden products too.
-- The pictures are the first three.
SELECT
    s.id, s.merchant_id, s.product_id, s.variant_id, s.title, s.status, s.currency, s.list_price_minor,
    s.tier_headcounts, s.tier_prices_minor, s.min_headcount, s.max_headcount, s.group_ttl_ms, s.starts_at, s.ends_at,
    s.stock_units, s.sold_units, s.per_buyer_units, s.lane_count, s.created_at, s.lowest_price_minor,
    s.starting_price_minor, s.product_title, jsonb_path_query_array(s.product_images, '$[0 to 2]') AS product_images,
    s.variant_sku, s.variant_title, s.variant_options,
    jsonb_path_query_array(s.variant_images, '$[0 to 2]') AS variant_images, s.nudges, s.new_cards_per_group,
    s.offer,
    page.key
FROM deals_page($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS page JOIN deals_shown s ON s.id = page.id
ORDER BY page.key, page.id;

-- name: list_unpaused
-- Lists a merchant's deals that are not paused and not over.
SELECT id FROM deals
WHERE merchant_id = $1 AND status = 'active' AND (ends_at IS NULL OR ends_at > app_now())
ORDER BY id;

-- name: lock_deal
-- Locks a deal's row for a change and answers what the change is judged by.
SELECT
    merchant_id, title, status AS status_set, deal_status_at(status, starts_at, ends_at, app_now()) AS status,
    starts_at, ends_at, stock_units, nudges, app_now() AS now, list_price_minor, currency
FROM deals
WHERE id = $1
FOR NO KEY UPDATE;

-- name: lock_lanes
-- Locks the lanes of a deal in their order, so that the change cannot deadlock with another.
SELECT lane_no FROM lanes WHERE deal_id = $1 ORDER BY lane_no FOR NO KEY UPDATE;

-- name: update_deal
-- Writes what a merchant may change of a deal.
UPDATE deals SET title = $2, status = $3, ends_at = $4, stock_units = $5, nudges = $6, updated_at = app_now() WHERE id = $1;

-- name: raise_lanes
-- Raises the epoch of all lanes of a deal, so that Redis learns of the change, and splits added stock over them.
WITH raised AS (
    UPDATE lanes l
    SET epoch = l.epoch + 1, stock_units = l.stock_units + lane_share($2::bigint, d.lane_count, l.lane_no)
    FROM deals d
    WHERE d.id = $1 AND l.deal_id = d.id
    RETURNING l.deal_id, l.lane_no, l.epoch, lane_share($2::bigint, d.lane_count, l.lane_no) AS added_units
)
INSERT INTO lane_changes (deal_id, lane_no, epoch, added_units)
SELECT deal_id, lane_no, epoch, added_units FROM raised
ON CONFLICT (deal_id, lane_no) DO UPDATE SET epoch = excluded.epoch, added_units = excluded.added_units;
