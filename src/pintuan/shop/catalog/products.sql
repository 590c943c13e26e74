-- Products and their variants, made through the API one by one.

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
    INSERT INTO variants (
        id, product_id, merchant_id, position, sku, title, list_price_minor, currency, options, images, attributes
    )
    SELECT
        v.id, $1, $2, v.ordinal, v.sku, v.title, v.list_price_minor, v.currency, v.options, v.images, v.attributes
    FROM jsonb_to_recordset($6::jsonb) AS v (
        id text, ordinal integer, sku text, title text, list_price_minor bigint, currency text, options jsonb,
        images jsonb, attributes jsonb
    )
)
SELECT created_at FROM product;

-- name: select_product
-- Answers one product with its variants in their order.
SELECT * FROM products_shown WHERE id = $1;

-- name: list_products
-- Answers a page of products, newest first, that pass the filters $1 to $6, from just behind ($7, $8); with $10 hidden ones too.
-- Of the $9 first ones there are as many as have $11 bytes, and one more; `behind` is how many come behind
-- each. The pictures are the first three.
SELECT id, merchant_id, title, description, images, created_at, variants, visibility, key, behind
FROM (
    SELECT
        p.id, p.merchant_id, p.title, p.description, jsonb_path_query_array(p.images, '$[0 to 2]') AS images,
        p.created_at, v.variants, p.visibility, page.key,
        count(*) OVER () - row_number() OVER (ORDER BY page.key, page.id) AS behind,
        coalesce(sum(octet_length(p.description) + octet_length(v.variants::text)) OVER earlier, 0) AS earlier_bytes
    FROM products_page($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS page
    JOIN products p ON p.id = page.id
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'id', id, 'sku', sku, 'title', title, 'options', options,
            'images', jsonb_path_query_array(images, '$[0 to 2]'), 'attributes', attributes,
            'list_price_minor', list_price_minor, 'currency', currency
        ) ORDER BY position, id), '[]') AS variants
        FROM variants WHERE product_id = p.id
    ) AS v
    WINDOW earlier AS (ORDER BY page.key, page.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
) AS listed
WHERE earlier_bytes < $11::bigint
ORDER BY key, id;

-- name: measure_product
-- Answers how many bytes a product comes to with its variants, as text of the JSON they are kept in.
SELECT octet_length(title) + octet_length(description) + octet_length(images::text) + octet_length(variants::text)
FROM products_shown
WHERE id = $1;

-- name: update_product
-- Writes what a merchant may change of a product.
UPDATE products SET title = $2, description = $3, images = $4, updated_at = app_now() WHERE id = $1;

-- name: insert_variants
-- Adds variants behind those a product has.
INSERT INTO variants (
    id, product_id, merchant_id, position, sku, title, list_price_minor, currency, options, images, attributes
)
SELECT
    v.id, p.id, p.merchant_id,
    (SELECT coalesce(max(b.position), 0) FROM variants b WHERE b.product_id = p.id) + v.ordinal,
    v.sku, v.title, v.list_price_minor, v.currency, v.options, v.images, v.attributes
FROM products p
CROSS JOIN jsonb_to_recordset($2::jsonb) AS v (
    id text, ordinal integer, sku text, title text, list_price_minor bigint, currency text, options jsonb,
    images jsonb, attributes jsonb
)
WHERE p.id = $1;

-- name: update_variants
-- Writes what a merchant may change of a product's variants.
UPDATE variants v
SET title = c.title, list_price_minor = c.list_price_minor, currency = c.currency, options = c.options,
    images = c.images, attributes = c.attributes, updated_at = app_now()
FROM jsonb_to_recordset($2::jsonb) AS c (
    id text, title text, list_price_minor bigint, currency text, options jsonb, images jsonb, attributes jsonb
)
WHERE v.product_id = $1 AND v.id = c.id;
