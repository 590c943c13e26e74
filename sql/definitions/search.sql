-- The words that products and deals are found by.
-- version: 1

-- Words as search compares them: without case, accents or punctuation. Chinese, Japanese and Korean are written
-- without blanks that tell words, so each of their characters becomes a word. The parser of Postgres never sees a
-- hyphen, a dot or an at sign, and so cannot make numbers or addresses of SKUs. The functions of an index are
-- written with RETURN, which binds what they call, because maintenance runs them with an empty search path.
CREATE OR REPLACE FUNCTION search_chunks(source text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(
    lower(normalize(regexp_replace(normalize(source, NFKD), '[\u0300-\u036f]', '', 'g'), NFKC)),
    '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u00d7\u00f7\u2000-\u206f\u20a0-\u2bff\u3000-\u3004'
    '\u3008-\u3020\u3030\u303d\u30fb\ufe10-\ufe6f\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]+',
    ' ', 'g'
);

CREATE OR REPLACE FUNCTION search_words(source text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(
    search_chunks(source),
    '([\u2e80-\u2fff\u3005-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff])', ' \1 ', 'g'
);

-- Every word of a query must be found, and may be the beginning of one; characters written together must be found
-- together. The first eight different words count. A word takes a look at all words that begin as it does, and those
-- that begin with one letter are a large part of the index: one letter is only a beginning where it comes last, as it
-- does while somebody types. Nothing in a query is an operator, and of a word its first 32 characters are looked for.
CREATE OR REPLACE FUNCTION search_query(source text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT coalesce(
        to_tsquery('simple', string_agg(
            '''' || search_words(word) || CASE WHEN word ~ '^[a-z0-9]$' AND NOT is_last THEN '''' ELSE ''':*' END,
            ' & ' ORDER BY place
        )),
        ''::tsquery
    )
    FROM (
        SELECT left(chunk, 32) AS word, min(number) AS place, max(number) = max(max(number)) OVER () AS is_last
        FROM regexp_split_to_table(search_chunks(source), ' +') WITH ORDINALITY AS split (chunk, number)
        WHERE chunk <> ''
        GROUP BY left(chunk, 32)
        ORDER BY min(number)
        LIMIT 8
    ) AS words
);

-- A document of more characters could outgrow a tsvector, which holds one megabyte.
CREATE OR REPLACE FUNCTION search_document(source text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_tsvector('simple', search_words(left(source, 60000)));

-- Writes the words that products are found by. It locks in one statement and reads in the next, so that of two
-- transactions that change variants of one product the later one sees both.
CREATE OR REPLACE FUNCTION refresh_product_search(product_ids text[]) RETURNS void
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

CREATE OR REPLACE FUNCTION products_changed() RETURNS trigger
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

CREATE OR REPLACE FUNCTION variants_added() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM refresh_product_search(array_agg(DISTINCT product_id)) FROM new_rows HAVING count(*) > 0;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION variants_removed() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM refresh_product_search(array_agg(DISTINCT product_id)) FROM old_rows HAVING count(*) > 0;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION variants_changed() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM refresh_product_search(array_agg(DISTINCT m.product_id))
    FROM (SELECT product_id FROM old_rows UNION SELECT product_id FROM new_rows) m
    HAVING count(*) > 0;
    RETURN NULL;
END
$$;
