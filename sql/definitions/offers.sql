-- What deals offer: what it is made of, which holds at a time, and how a change of it is kept.
-- version: 2
-- uses: clock, deals

-- What deals offer now, as merchants' texts say it. A digest stands for what is long: SHA-256 of the description in
-- UTF-8, and of the addresses of pictures, the variant's own first, one a line. It is made once for all deals of a variant.
CREATE OR REPLACE FUNCTION offered_now(deal_ids text[]) RETURNS TABLE (
    deal_id text, title text, product_title text, variant_title text, sku text, options jsonb, brand text, gtin text,
    description_digest bytea, images_digest bytea
)
LANGUAGE sql STABLE
AS $$
    WITH wanted AS MATERIALIZED (
        SELECT d.id, d.title, d.product_id, d.variant_id FROM deals d WHERE d.id = ANY (deal_ids)
    ),
    goods AS MATERIALIZED (
        SELECT
            p.id AS product_id, v.id AS variant_id, p.title AS product_title, v.title AS variant_title, v.sku, v.options,
            -- An attribute may be as long as a page.
            left(coalesce(v.attributes ->> 'brand', v.attributes ->> 'vendor'), 200) AS brand,
            left(coalesce(v.attributes ->> 'gtin', v.attributes ->> 'barcode'), 200) AS gtin,
            sha256(convert_to(p.description, 'UTF8')) AS description_digest,
            sha256(convert_to(coalesce((
                SELECT string_agg(i.address, E'\n' ORDER BY i.number)
                FROM jsonb_array_elements_text(v.images || p.images) WITH ORDINALITY AS i (address, number)
            ), ''), 'UTF8')) AS images_digest
        FROM (SELECT DISTINCT product_id, variant_id FROM wanted) w
        JOIN products p ON p.id = w.product_id
        JOIN variants v ON v.id = w.variant_id
    )
    SELECT
        w.id, w.title, g.product_title, g.variant_title, g.sku, g.options, g.brand, g.gtin, g.description_digest,
        g.images_digest
    FROM wanted w JOIN goods g ON g.product_id = w.product_id AND g.variant_id = w.variant_id
$$;

-- What a deal offered at a time, as the API shows it; one row for every deal and time.
CREATE OR REPLACE FUNCTION offer_at(wanted_deal_id text, moment timestamptz) RETURNS TABLE (offer jsonb)
LANGUAGE sql STABLE
AS $$
    SELECT jsonb_build_object(
        'title', f.title, 'product_title', f.product_title, 'variant_title', f.variant_title, 'sku', f.sku,
        'options', f.options, 'brand', f.brand, 'gtin', f.gtin,
        'description_sha256', encode(f.description_digest, 'hex'), 'images_sha256', encode(f.images_digest, 'hex'),
        'since', nullif(f.valid_from, '-infinity')
    )
    FROM offers f
    WHERE f.deal_id = wanted_deal_id AND f.valid_from <= moment
    ORDER BY f.valid_from DESC
    LIMIT 1
$$;

-- Keeps what deals offer from now on, where a deal, its product or its variant changed. It runs when the transaction ends,
-- so that what was written in between is not kept, and the time is as near to the commit as can be. It locks in one
-- statement and reads in the next, so that of two changes at once the later one sees both. A deal that has ended takes
-- no more orders, and what it offered stays.
CREATE OR REPLACE FUNCTION keep_offers() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    changed text[];
BEGIN
    SELECT array_agg(m.id) INTO changed
    FROM (
        SELECT id, status, starts_at, ends_at FROM deals WHERE TG_TABLE_NAME = 'deals' AND id = NEW.id
        UNION ALL
        SELECT id, status, starts_at, ends_at FROM deals WHERE TG_TABLE_NAME = 'products' AND product_id = NEW.id
        UNION ALL
        SELECT id, status, starts_at, ends_at FROM deals WHERE TG_TABLE_NAME = 'variants' AND variant_id = NEW.id
    ) m
    WHERE TG_OP = 'INSERT' OR deal_status_at(m.status, m.starts_at, m.ends_at, app_now()) <> 'ended';
    IF changed IS NULL THEN
        RETURN NULL;
    END IF;

    PERFORM FROM deals WHERE id = ANY (changed) ORDER BY id FOR NO KEY UPDATE;
    WITH kept AS (
        INSERT INTO offers (
            deal_id, valid_from, title, product_title, variant_title, sku, options, brand, gtin, description_digest,
            images_digest
        )
        SELECT
            n.deal_id,
            CASE
                WHEN was.valid_from IS NULL THEN '-infinity'
                ELSE greatest(app_now(), was.valid_from + interval '1 microsecond')
            END,
            n.title, n.product_title, n.variant_title, n.sku, n.options, n.brand, n.gtin, n.description_digest,
            n.images_digest
        FROM offered_now(changed) n
        LEFT JOIN LATERAL (
            SELECT
                f.valid_from, f.title, f.product_title, f.variant_title, f.sku, f.options, f.brand, f.gtin,
                f.description_digest, f.images_digest
            FROM offers f
            WHERE f.deal_id = n.deal_id
            ORDER BY f.valid_from DESC
            LIMIT 1
        ) was ON true
        WHERE (
                was.title, was.product_title, was.variant_title, was.sku, was.options, was.brand, was.gtin,
                was.description_digest, was.images_digest
            ) IS DISTINCT FROM (
                n.title, n.product_title, n.variant_title, n.sku, n.options, n.brand, n.gtin, n.description_digest,
                n.images_digest
            )
        RETURNING deal_id, valid_from
    )
    -- The snapshot is that of before, so the last version is the one that was replaced. The first one always stays.
    INSERT INTO replaced_offers (deal_id, valid_from, replaced_at)
    SELECT k.deal_id, was.valid_from, k.valid_from
    FROM kept k CROSS JOIN LATERAL (SELECT max(f.valid_from) AS valid_from FROM offers f WHERE f.deal_id = k.deal_id) was
    WHERE was.valid_from > '-infinity';
    RETURN NULL;
END
$$;

-- For so long an order may still be recorded that was placed before: far longer than any statement may run.
CREATE OR REPLACE FUNCTION offer_margin() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN interval '2 minutes';

-- Whether a version was replaced, nobody ordered while it held, and no order of that time can come any more. The
-- version before it holds for its time then. The first one is never spare, so that something holds at any time.
CREATE OR REPLACE FUNCTION offer_is_spare(wanted_deal_id text, since timestamptz) RETURNS boolean
LANGUAGE sql STABLE
AS $$
    SELECT since > '-infinity' AND EXISTS (
        SELECT FROM (
            SELECT f.valid_from AS until
            FROM offers f
            WHERE f.deal_id = wanted_deal_id AND f.valid_from > since
            ORDER BY f.valid_from
            LIMIT 1
        ) following
        WHERE following.until < app_now() - offer_margin()
            AND NOT EXISTS (
                SELECT FROM lanes l JOIN orders o ON o.deal_id = l.deal_id AND o.lane_no = l.lane_no
                WHERE l.deal_id = wanted_deal_id AND o.created_at >= since AND o.created_at < following.until
            )
            AND NOT EXISTS (
                SELECT FROM archived_orders a
                WHERE a.deal_id = wanted_deal_id AND a.created_at >= since AND a.created_at < following.until
            )
    )
$$;

-- An offer is added and never changed: orders are for it. It goes with its deal, or when it is spare.
CREATE OR REPLACE FUNCTION refuse_change_of_offers() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF TG_OP = 'DELETE' AND (
        NOT EXISTS (SELECT FROM deals WHERE id = OLD.deal_id) OR offer_is_spare(OLD.deal_id, OLD.valid_from)
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'orders are for what deals offered: % of % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;
