-- Search and filters of products and deals. The statement of a page is put together from the filters that were
-- given and planned for their values, so that each can use its index; nothing a caller sends becomes part of it.

-- Words as search compares them: without case, accents or punctuation. Chinese, Japanese and Korean are written
-- without blanks that tell words, so each of their characters becomes a word. The parser of Postgres never sees a
-- hyphen, a dot or an at sign, and so cannot make numbers or addresses of SKUs. The functions of an index are
-- written with RETURN, which binds what they call, because maintenance runs them with an empty search path.
CREATE FUNCTION search_chunks(source text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(
    lower(normalize(regexp_replace(normalize(source, NFKD), '[\u0300-\u036f]', '', 'g'), NFKC)),
    '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u00d7\u00f7\u2000-\u206f\u20a0-\u2bff\u3000-\u3004'
    '\u3008-\u3020\u3030\u303d\u30fb\ufe10-\ufe6f\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]+',
    ' ', 'g'
);

CREATE FUNCTION search_words(source text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(
    search_chunks(source),
    '([\u2e80-\u2fff\u3005-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff])', ' \1 ', 'g'
);

-- Every word of a query must be found, and may be the beginning of one; characters written together must be
-- found together. Nothing in a query is an operator, and no word is longer than Postgres allows.
CREATE FUNCTION search_query(source text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT coalesce(
        to_tsquery('simple', string_agg('''' || search_words(left(chunk, 100)) || ''':*', ' & ')), ''::tsquery
    )
    FROM regexp_split_to_table(search_chunks(source), ' +') AS chunk
    WHERE chunk <> ''
);

-- A document of more characters could outgrow a tsvector, which holds one megabyte.
CREATE FUNCTION search_document(source text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_tsvector('simple', search_words(left(source, 60000)));

CREATE TABLE product_search (
    product_id text PRIMARY KEY REFERENCES products ON DELETE CASCADE,
    words tsvector NOT NULL
);
CREATE INDEX product_search_words ON product_search USING gin (words);

-- Writes what products are found by. It locks in one statement and reads in the next, so that of two transactions
-- that change variants of one product the later one sees both.
CREATE FUNCTION refresh_product_search(product_ids text[]) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO product_search (product_id, words)
    SELECT p.id, ''::tsvector FROM products p WHERE p.id = ANY (product_ids) ORDER BY p.id
    ON CONFLICT (product_id) DO NOTHING;
    PERFORM FROM product_search WHERE product_id = ANY (product_ids) ORDER BY product_id FOR UPDATE;
    UPDATE product_search s SET words = found.words
    FROM (
        SELECT p.id, search_document(concat_ws(' ', p.title, (
            SELECT string_agg(DISTINCT said, ' ')
            FROM variants v CROSS JOIN LATERAL unnest(ARRAY[
                v.sku, v.title, v.attributes ->> 'brand', v.attributes ->> 'vendor', v.attributes ->> 'tags',
                v.attributes ->> 'type', v.attributes ->> 'product_type', v.attributes ->> 'category',
                v.attributes ->> 'gtin', v.attributes ->> 'mpn', v.attributes ->> 'barcode'
            ]) AS said
            WHERE v.product_id = p.id
        ), p.description)) AS words
        FROM products p WHERE p.id = ANY (product_ids)
    ) found
    WHERE s.product_id = found.id AND s.words IS DISTINCT FROM found.words;
END
$$;

CREATE FUNCTION products_changed() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM refresh_product_search(array_agg(n.id))
    FROM new_rows n JOIN old_rows o USING (id)
    WHERE (n.title, n.description) IS DISTINCT FROM (o.title, o.description)
    HAVING count(*) > 0;
    RETURN NULL;
END
$$;

CREATE FUNCTION variants_added() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM refresh_product_search(array_agg(DISTINCT product_id)) FROM new_rows HAVING count(*) > 0;
    RETURN NULL;
END
$$;

CREATE FUNCTION variants_removed() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM refresh_product_search(array_agg(DISTINCT product_id)) FROM old_rows HAVING count(*) > 0;
    RETURN NULL;
END
$$;

CREATE FUNCTION variants_changed() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM refresh_product_search(array_agg(DISTINCT m.product_id))
    FROM (SELECT product_id FROM old_rows UNION SELECT product_id FROM new_rows) m
    HAVING count(*) > 0;
    RETURN NULL;
END
$$;

CREATE TRIGGER products_changed AFTER UPDATE ON products
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION products_changed();
CREATE TRIGGER variants_added AFTER INSERT ON variants
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION variants_added();
CREATE TRIGGER variants_changed AFTER UPDATE ON variants
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION variants_changed();
CREATE TRIGGER variants_removed AFTER DELETE ON variants
REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION variants_removed();

SELECT refresh_product_search(array_agg(id)) FROM products HAVING count(*) > 0;

-- Microseconds since 1970, of which every list has a key that rises along it.
CREATE FUNCTION epoch_us(moment timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (extract(epoch FROM moment AT TIME ZONE 'UTC') * 1000000)::bigint;

ALTER TABLE products ADD COLUMN newest_key bigint NOT NULL GENERATED ALWAYS AS (-epoch_us(created_at)) STORED;
DROP INDEX products_newest;
CREATE INDEX products_newest ON products (newest_key, id);
CREATE INDEX products_of_merchant ON products (merchant_id, newest_key, id);
CREATE INDEX variants_by_price ON variants (currency, list_price_minor, product_id);

-- The lowest price is that of the last tier, and a discount of a quarter is 2500. A deal without an end ends last.
ALTER TABLE deals
    ADD COLUMN newest_key bigint NOT NULL GENERATED ALWAYS AS (-epoch_us(created_at)) STORED,
    ADD COLUMN ends_key bigint NOT NULL
        GENERATED ALWAYS AS (coalesce(epoch_us(ends_at), 9223372036854775807)) STORED,
    ADD COLUMN lowest_price_minor bigint NOT NULL
        GENERATED ALWAYS AS (tier_prices_minor[cardinality(tier_prices_minor)]) STORED,
    ADD COLUMN discount_key bigint NOT NULL GENERATED ALWAYS AS (
        -((list_price_minor - tier_prices_minor[cardinality(tier_prices_minor)]) * 10000 / list_price_minor)
    ) STORED,
    ADD COLUMN words tsvector NOT NULL GENERATED ALWAYS AS (search_document(title)) STORED;
DROP INDEX deals_newest;
DROP INDEX deals_of_merchant;
CREATE INDEX deals_newest ON deals (newest_key, id);
CREATE INDEX deals_of_merchant ON deals (merchant_id, newest_key, id);
CREATE INDEX deals_of_product ON deals (product_id, newest_key, id);
CREATE INDEX deals_of_variant ON deals (variant_id, newest_key, id);
CREATE INDEX deals_running ON deals (ends_key, id) WHERE status <> 'ended';
CREATE INDEX deals_cheapest ON deals (lowest_price_minor, id);
CREATE INDEX deals_cheapest_in_currency ON deals (currency, lowest_price_minor, id);
CREATE INDEX deals_most_reduced ON deals (discount_key, id);
CREATE INDEX deals_words ON deals USING gin (words);

-- The products a query finds, or null when they are more than 2000. No index holds words and order alike: few
-- products are fetched and sorted, many are met soon enough along the order. Postgres cannot tell the two apart by
-- its estimate of a prefix, and would read every product to find one; so it must use the index of words, and count.
CREATE FUNCTION found_products(query text) RETURNS text[]
LANGUAGE plpgsql STABLE SET enable_seqscan = off
AS $$
DECLARE
    found_max constant integer := 2000;
    found text[];
BEGIN
    found := ARRAY(
        SELECT s.product_id FROM product_search s WHERE s.words @@ search_query(query) LIMIT found_max + 1
    );
    RETURN CASE WHEN cardinality(found) <= found_max THEN found END;
END
$$;

-- The same for deals, which are found by their own title and by all that their product is found by.
CREATE FUNCTION found_deals(query text) RETURNS text[]
LANGUAGE plpgsql STABLE SET enable_seqscan = off
AS $$
DECLARE
    found_max constant integer := 2000;
    of_products constant text[] := found_products(query);
    found text[];
BEGIN
    IF of_products IS NULL THEN
        RETURN NULL;
    END IF;
    found := ARRAY(
        (SELECT d.id FROM deals d WHERE d.words @@ search_query(query) LIMIT found_max + 1)
        UNION
        (SELECT d.id FROM deals d WHERE d.product_id = ANY (of_products) LIMIT found_max + 1)
    );
    RETURN CASE WHEN cardinality(found) <= found_max THEN found END;
END
$$;

-- A page of products, newest first, from just behind (after_key, after_id).
CREATE FUNCTION products_page(
    query text, in_merchant_id text, in_currency text, price_min bigint, price_max bigint, on_deal boolean,
    after_key bigint, after_id text, page_size integer
) RETURNS TABLE (id text, key bigint)
LANGUAGE plpgsql STABLE ROWS 20 SET enable_seqscan = off
AS $$
DECLARE
    found constant text[] := CASE WHEN query IS NOT NULL THEN found_products(query) END;
    offered constant text := '(SELECT d.product_id FROM deals d WHERE d.status <> ''ended'' AND d.ends_key > $10
        AND deal_status_at(d.status, d.starts_at, d.ends_at, app_now()) = ''active'')';
BEGIN
    RETURN QUERY EXECUTE 'SELECT p.id, p.newest_key FROM products p WHERE true'
        || CASE WHEN after_id IS NULL THEN '' ELSE ' AND (p.newest_key, p.id) > ($7, $8)' END
        || CASE WHEN in_merchant_id IS NULL THEN '' ELSE ' AND p.merchant_id = $2' END
        || CASE WHEN query IS NULL THEN '' WHEN found IS NOT NULL THEN ' AND p.id = ANY ($11)' ELSE
            ' AND EXISTS (SELECT FROM product_search s WHERE s.product_id = p.id AND s.words @@ search_query($1))' END
        || CASE WHEN coalesce(in_currency, price_min::text, price_max::text) IS NULL THEN '' ELSE
            ' AND p.id IN (SELECT v.product_id FROM variants v WHERE true'
            || CASE WHEN in_currency IS NULL THEN '' ELSE ' AND v.currency = $3' END
            || CASE WHEN price_min IS NULL THEN '' ELSE ' AND v.list_price_minor >= $4' END
            || CASE WHEN price_max IS NULL THEN '' ELSE ' AND v.list_price_minor <= $5' END
            || ')' END
        || CASE on_deal WHEN true THEN ' AND p.id IN ' || offered
            WHEN false THEN ' AND p.id NOT IN ' || offered ELSE '' END
        || ' ORDER BY p.newest_key, p.id LIMIT $9'
    USING query, in_merchant_id, in_currency, price_min, price_max, on_deal, after_key, after_id, page_size,
        epoch_us(app_now()), found;
END
$$;

-- A page of deals in one of four orders, from just behind (after_key, after_id). Deals that have ended are not
-- among those that end soon.
CREATE FUNCTION deals_page(
    query text, in_merchant_id text, in_product_id text, in_variant_id text, in_status text, in_currency text,
    price_max bigint, sort text, after_key bigint, after_id text, page_size integer
) RETURNS TABLE (id text, key bigint)
LANGUAGE plpgsql STABLE ROWS 20 SET enable_seqscan = off
AS $$
DECLARE
    found constant text[] := CASE WHEN query IS NOT NULL THEN found_deals(query) END;
    sort_key constant text := CASE sort
        WHEN 'ending_soon' THEN 'd.ends_key'
        WHEN 'lowest_price' THEN 'd.lowest_price_minor'
        WHEN 'biggest_discount' THEN 'd.discount_key'
        ELSE 'd.newest_key'
    END;
BEGIN
    RETURN QUERY EXECUTE 'SELECT d.id, ' || sort_key || ' FROM deals d WHERE true'
        || CASE WHEN after_id IS NULL THEN '' ELSE ' AND (' || sort_key || ', d.id) > ($8, $9)' END
        || CASE WHEN in_merchant_id IS NULL THEN '' ELSE ' AND d.merchant_id = $2' END
        || CASE WHEN in_product_id IS NULL THEN '' ELSE ' AND d.product_id = $3' END
        || CASE WHEN in_variant_id IS NULL THEN '' ELSE ' AND d.variant_id = $4' END
        || CASE WHEN in_status IS NULL THEN '' ELSE
            ' AND deal_status_at(d.status, d.starts_at, d.ends_at, app_now()) = $5' END
        || CASE WHEN in_status <> 'ended' OR sort = 'ending_soon' THEN
            ' AND d.status <> ''ended'' AND d.ends_key > $11' ELSE '' END
        || CASE WHEN in_currency IS NULL THEN '' ELSE ' AND d.currency = $6' END
        || CASE WHEN price_max IS NULL THEN '' ELSE ' AND d.lowest_price_minor <= $7' END
        || CASE WHEN query IS NULL THEN '' WHEN found IS NOT NULL THEN ' AND d.id = ANY ($12)' ELSE
            ' AND (d.words @@ search_query($1) OR EXISTS (SELECT FROM product_search s
                WHERE s.product_id = d.product_id AND s.words @@ search_query($1)))' END
        || ' ORDER BY 2, 1 LIMIT $10'
    USING query, in_merchant_id, in_product_id, in_variant_id, in_status, in_currency, price_max, after_key,
        after_id, page_size, epoch_us(app_now()), found;
END
$$;

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
    v.options AS variant_options, v.images AS variant_images
FROM deals d JOIN products p ON p.id = d.product_id JOIN variants v ON v.id = d.variant_id;
