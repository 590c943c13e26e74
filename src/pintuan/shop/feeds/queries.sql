-- A feed's products and variants, in batches.

-- name: upsert_feed_products
-- Adds a batch of a feed's products and updates those that changed; answers a row for each of both.
INSERT INTO products AS p (id, merchant_id, feed_ref, title, description, images, visibility)
SELECT i.id, $1, i.feed_ref, i.title, i.description, i.images, i.visibility
FROM jsonb_to_recordset($2::jsonb) AS i (
    id text, feed_ref text, title text, description text, images jsonb, visibility text
)
ORDER BY i.feed_ref
ON CONFLICT (merchant_id, feed_ref) DO UPDATE
SET title = excluded.title, description = excluded.description, images = excluded.images,
    visibility = excluded.visibility, updated_at = app_now()
WHERE (p.title, p.description, p.images, p.visibility)
    IS DISTINCT FROM (excluded.title, excluded.description, excluded.images, excluded.visibility)
RETURNING (xmax = 0) AS added;

-- name: count_feed_variants
-- Answers the products of a batch with their number of variants not in the batch, which take room beside it.
SELECT p.id, p.feed_ref, (
    SELECT count(*) FROM variants v
    WHERE v.product_id = p.id AND (v.feed_ref IS NULL OR v.feed_ref <> ALL ($3::text[]))
) AS others
FROM products p
WHERE p.merchant_id = $1 AND p.feed_ref = ANY ($2::text[]);

-- name: measure_feed_products
-- Answers how many bytes products come to with their variants, by their references, as text of the JSON they are kept in.
SELECT
    p.feed_ref,
    octet_length(s.title) + octet_length(s.description) + octet_length(s.images::text)
        + octet_length(s.variants::text) AS bytes
FROM products p JOIN products_shown s ON s.id = p.id
WHERE p.merchant_id = $1 AND p.feed_ref = ANY ($2::text[]);

-- name: adopt_feed_variants
-- Lets a variant whose SKU a batch gives to an item not known yet be that item, unless it is in the batch itself.
UPDATE variants v SET feed_ref = i.feed_ref, updated_at = app_now()
FROM jsonb_to_recordset($2::jsonb) AS i (group_ref text, feed_ref text, sku text)
JOIN products p ON p.merchant_id = $1 AND p.feed_ref = i.group_ref
WHERE v.product_id = p.id AND v.sku = i.sku AND v.feed_ref IS DISTINCT FROM i.feed_ref
    AND NOT EXISTS (SELECT FROM variants o WHERE o.merchant_id = $1 AND o.feed_ref = i.feed_ref)
    AND NOT EXISTS (
        SELECT FROM jsonb_to_recordset($2::jsonb) AS b (feed_ref text) WHERE b.feed_ref = v.feed_ref
    );

-- name: free_feed_skus
-- Gives another SKU to variants not in a batch whose SKU the batch gives to an item of their product.
UPDATE variants v SET sku = left(v.sku, 80) || '~' || right(v.id, 12), updated_at = app_now()
FROM jsonb_to_recordset($2::jsonb) AS i (group_ref text, feed_ref text, sku text)
JOIN products p ON p.merchant_id = $1 AND p.feed_ref = i.group_ref
WHERE v.product_id = p.id AND v.sku = i.sku AND v.feed_ref IS DISTINCT FROM i.feed_ref
    AND NOT EXISTS (
        SELECT FROM jsonb_to_recordset($2::jsonb) AS b (feed_ref text) WHERE b.feed_ref = v.feed_ref
    );

-- name: select_offered_variants
-- Reads those variants of a batch's products $2 and items $3 that a deal offers which has not ended, or has sold units.
SELECT v.id, p.title AS product_title, v.title, v.sku, v.list_price_minor, v.currency
FROM (
    SELECT v.id FROM products p JOIN variants v ON v.product_id = p.id
    WHERE p.merchant_id = $1 AND p.feed_ref = ANY ($2::text[])
    UNION
    SELECT v.id FROM variants v WHERE v.merchant_id = $1 AND v.feed_ref = ANY ($3::text[])
) m
JOIN variants v ON v.id = m.id
JOIN products p ON p.id = v.product_id
WHERE EXISTS (
    SELECT FROM deals d
    WHERE d.variant_id = v.id AND (
        deal_status_at(d.status, d.starts_at, d.ends_at, app_now()) <> 'ended'
        OR EXISTS (SELECT FROM lanes l WHERE l.deal_id = d.id AND l.sold_units > 0)
    )
)
ORDER BY v.id;

-- name: select_named_variants
-- Reads variants as shoppers know them.
SELECT v.id, p.title AS product_title, v.title, v.sku, v.list_price_minor, v.currency
FROM variants v JOIN products p ON p.id = v.product_id
WHERE v.id = ANY ($1::text[]);

-- name: upsert_feed_variants
-- Adds a batch of a feed's variants behind those of their products and updates those that changed.
INSERT INTO variants AS v (
    id, product_id, merchant_id, position, sku, title, list_price_minor, currency, options, images, attributes,
    feed_ref
)
SELECT
    i.id, i.product_id, $1,
    (SELECT coalesce(max(b.position), 0) FROM variants b WHERE b.product_id = i.product_id) + i.ordinal,
    i.sku, i.title, i.list_price_minor, i.currency, i.options, i.images, i.attributes, i.feed_ref
FROM jsonb_to_recordset($2::jsonb) AS i (
    id text, product_id text, feed_ref text, sku text, title text, list_price_minor bigint, currency text,
    options jsonb, images jsonb, attributes jsonb, ordinal integer
)
ORDER BY i.feed_ref
ON CONFLICT (merchant_id, feed_ref) DO UPDATE
SET product_id = excluded.product_id, sku = excluded.sku, title = excluded.title,
    list_price_minor = excluded.list_price_minor, currency = excluded.currency, options = excluded.options,
    images = excluded.images, attributes = excluded.attributes, updated_at = app_now()
WHERE (v.product_id, v.sku, v.title, v.list_price_minor, v.currency, v.options, v.images, v.attributes)
    IS DISTINCT FROM (
        excluded.product_id, excluded.sku, excluded.title, excluded.list_price_minor, excluded.currency,
        excluded.options, excluded.images, excluded.attributes
    )
RETURNING (xmax = 0) AS added;

-- name: delete_emptied_feed_products
-- Removes a merchant's imported products whose last variant moved to another product and that no deal offers.
DELETE FROM products p
WHERE p.merchant_id = $1 AND p.feed_ref IS NOT NULL
    AND NOT EXISTS (SELECT FROM variants v WHERE v.product_id = p.id)
    AND NOT EXISTS (SELECT FROM deals d WHERE d.product_id = p.id);
