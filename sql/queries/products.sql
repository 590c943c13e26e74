-- Products and their variants, made through the API one by one or imported from a feed in batches.

-- name: insert_product
-- Adds a product with its variants in their order; a merchant's first product adds the merchant.
WITH merchant AS (
    INSERT INTO merchants (id) VALUES ($2) ON CONFLICT (id) DO NOTHING
),
product AS (
    INSERT INTO products (id, merchant_id, title, description, images)
    VALUES ($1, $2, $3, $4, $5)
    RETURNING created_at
),
added AS (
    INSERT INTO variants (id, product_id, merchant_id, position, sku, title, list_price_minor, currency)
    SELECT v.id, $1, $2, v.position, v.sku, v.title, v.list_price_minor, v.currency
    FROM unnest($6::text[], $7::text[], $8::text[], $9::bigint[], $10::text[])
        WITH ORDINALITY AS v (id, sku, title, list_price_minor, currency, position)
)
SELECT created_at FROM product;

-- name: select_product
-- Answers one product with its variants in their order.
SELECT p.id, p.merchant_id, p.title, p.description, p.images, p.created_at, v.variants
FROM products p
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', id, 'sku', sku, 'title', title,
        'list_price', jsonb_build_object('amount', list_price_minor, 'currency', currency)
    ) ORDER BY position, id), '[]') AS variants
    FROM variants WHERE product_id = p.id
) AS v
WHERE p.id = $1;

-- name: list_products
-- Answers a page of products, newest first, from just behind ($1, $2).
SELECT p.id, p.merchant_id, p.title, p.description, p.images, p.created_at, v.variants
FROM products p
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', id, 'sku', sku, 'title', title,
        'list_price', jsonb_build_object('amount', list_price_minor, 'currency', currency)
    ) ORDER BY position, id), '[]') AS variants
    FROM variants WHERE product_id = p.id
) AS v
WHERE (p.created_at, p.id) < (coalesce($1::timestamptz, 'infinity'), coalesce($2::text, ''))
ORDER BY p.created_at DESC, p.id DESC
LIMIT $3;

-- name: insert_merchant
-- Adds a merchant unless it is known.
INSERT INTO merchants (id) VALUES ($1) ON CONFLICT (id) DO NOTHING;

-- name: lock_merchant
-- Lets one import at a time write a merchant's products.
SELECT id FROM merchants WHERE id = $1 FOR NO KEY UPDATE;

-- name: upsert_feed_products
-- Adds a batch of a feed's products and updates those that changed; answers a row for each of both.
INSERT INTO products AS p (id, merchant_id, feed_ref, title, description, images)
SELECT i.id, $1, i.feed_ref, i.title, i.description, i.images
FROM jsonb_to_recordset($2::jsonb) AS i (id text, feed_ref text, title text, description text, images jsonb)
ORDER BY i.feed_ref
ON CONFLICT (merchant_id, feed_ref) DO UPDATE
SET title = excluded.title, description = excluded.description, images = excluded.images, updated_at = app_now()
WHERE (p.title, p.description, p.images) IS DISTINCT FROM (excluded.title, excluded.description, excluded.images)
RETURNING (xmax = 0) AS added;

-- name: count_feed_variants
-- Answers the products of a batch with their number of variants not in the batch, which take room beside it.
SELECT p.id, p.feed_ref, (
    SELECT count(*) FROM variants v
    WHERE v.product_id = p.id AND (v.feed_ref IS NULL OR v.feed_ref <> ALL ($3::text[]))
) AS others
FROM products p
WHERE p.merchant_id = $1 AND p.feed_ref = ANY ($2::text[]);

-- name: upsert_feed_variants
-- Adds a batch of a feed's variants behind those of their products and updates those that changed.
INSERT INTO variants AS v (
    id, product_id, merchant_id, position, sku, title, list_price_minor, currency, attributes, feed_ref
)
SELECT
    i.id, i.product_id, $1,
    (SELECT coalesce(max(b.position), 0) FROM variants b WHERE b.product_id = i.product_id) + i.ordinal,
    i.feed_ref, i.title, i.list_price_minor, i.currency, i.attributes, i.feed_ref
FROM jsonb_to_recordset($2::jsonb) AS i (
    id text, product_id text, feed_ref text, title text, list_price_minor bigint, currency text, attributes jsonb,
    ordinal integer
)
ORDER BY i.feed_ref
ON CONFLICT (merchant_id, feed_ref) DO UPDATE
SET product_id = excluded.product_id, title = excluded.title, list_price_minor = excluded.list_price_minor,
    currency = excluded.currency, attributes = excluded.attributes, updated_at = app_now()
WHERE (v.product_id, v.title, v.list_price_minor, v.currency, v.attributes) IS DISTINCT FROM
    (excluded.product_id, excluded.title, excluded.list_price_minor, excluded.currency, excluded.attributes)
RETURNING (xmax = 0) AS added;

-- name: delete_emptied_feed_products
-- Removes a merchant's imported products whose last variant moved to another product and that no deal offers.
DELETE FROM products p
WHERE p.merchant_id = $1 AND p.feed_ref IS NOT NULL
    AND NOT EXISTS (SELECT FROM variants v WHERE v.product_id = p.id)
    AND NOT EXISTS (SELECT FROM deals d WHERE d.product_id = p.id);
