-- What one search may cost. A word takes a look at all words that begin as it does, and those that begin with one
-- letter are a large part of the index.

-- Every word of a query must be found, and may be the beginning of one; characters written together must be found
-- together. The first eight different words count. One letter, which nearly every product has a word with, is only a
-- beginning where it comes last, as it does while somebody types. Nothing in a query is an operator, and of a word its
-- first 32 characters are looked for.
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
