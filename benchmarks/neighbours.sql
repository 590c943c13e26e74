-- The catalogue that *neighbours* searches.

-- name: fill_catalogue
-- Adds $2 products of merchant $1 with one variant each; 8 words are their title and 40 their description, of 20,000.
WITH product AS (
    INSERT INTO products (id, merchant_id, title, description)
    SELECT 'prd_bench_' || p, $1, said.title, said.description
    FROM generate_series(1, $2::integer) AS p
    CROSS JOIN LATERAL (
        SELECT
            string_agg(word.text, ' ') FILTER (WHERE word.k <= 8) AS title,
            string_agg(word.text, ' ') FILTER (WHERE word.k > 8) AS description
        FROM (
            SELECT k, translate(left(md5(n::text), 3 + n % 7), '0123456789', 'ghijklmnop') AS text
            FROM (SELECT k, (p * 7919 + k * 104729) % 20000 AS n FROM generate_series(1, 48) AS k) AS numbered
        ) AS word
    ) AS said
    RETURNING id
)
INSERT INTO variants (id, product_id, merchant_id, position, sku, title, list_price_minor, currency)
SELECT replace(id, 'prd', 'var'), id, $1, 1, 'S1', 'One', 500, 'USD' FROM product;
