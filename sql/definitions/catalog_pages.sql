-- Pages of products and deals under filters. The statement of a page is put together from the filters that were
-- given and planned for their values, so that each can use its index; nothing a caller sends becomes part of it.
-- version: 1
-- uses: clock, deals, search

-- The products a query finds, or null when they are more than 2000. No index holds words and order alike: few
-- products are fetched and sorted, many are met soon enough along the order. Postgres cannot tell the two apart by
-- its estimate of a prefix, and would read every product to find one; so it must use the index of words, and count.
CREATE OR REPLACE FUNCTION found_products(query text) RETURNS text[]
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
CREATE OR REPLACE FUNCTION found_deals(query text) RETURNS text[]
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

-- A page of products, newest first, from just behind (after_key, after_id). Hidden products are for their merchant
-- alone.
CREATE OR REPLACE FUNCTION products_page(
    query text, in_merchant_id text, in_currency text, price_min bigint, price_max bigint, on_deal boolean,
    after_key bigint, after_id text, page_size integer, with_hidden boolean
) RETURNS TABLE (id text, key bigint)
LANGUAGE plpgsql STABLE ROWS 20 SET enable_seqscan = off
AS $$
DECLARE
    found constant text[] := CASE WHEN query IS NOT NULL THEN found_products(query) END;
    offered constant text := '(SELECT d.product_id FROM deals d WHERE d.status <> ''ended'' AND d.ends_key > $10
        AND deal_status_at(d.status, d.starts_at, d.ends_at, app_now()) = ''active'')';
BEGIN
    RETURN QUERY EXECUTE 'SELECT p.id, p.newest_key FROM products p WHERE true'
        || CASE WHEN with_hidden THEN '' ELSE ' AND p.visibility = ''public''' END
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
CREATE OR REPLACE FUNCTION deals_page(
    query text, in_merchant_id text, in_product_id text, in_variant_id text, in_status text, in_currency text,
    price_max bigint, sort text, after_key bigint, after_id text, page_size integer, with_hidden boolean
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
        || CASE WHEN with_hidden THEN '' ELSE
            ' AND NOT EXISTS (SELECT FROM products h WHERE h.id = d.product_id AND h.visibility = ''hidden'')' END
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
