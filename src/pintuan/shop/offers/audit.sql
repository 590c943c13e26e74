-- The questions of `pintuan audit` about offers. Every statement answers (id, detail) of each fault, at most
-- $1 rows.

-- name: offers_are_kept
-- The last version of what a deal offers is what it offers now, unless it has ended; and one holds at any time.
SELECT d.id, format('offers “%s”, and the last that was kept is “%s”', n.title, last.title) AS detail
FROM deals d
JOIN offered_now(ARRAY(SELECT id FROM deals)) n ON n.deal_id = d.id
LEFT JOIN LATERAL (SELECT * FROM offers f WHERE f.deal_id = d.id ORDER BY f.valid_from DESC LIMIT 1) last ON true
WHERE NOT EXISTS (SELECT FROM offers f WHERE f.deal_id = d.id AND f.valid_from = '-infinity')
    OR deal_status_at(d.status, d.starts_at, d.ends_at, app_now()) <> 'ended'
    AND (
        last.title, last.product_title, last.variant_title, last.sku, last.options, last.brand, last.gtin,
        last.description_digest, last.images_digest
    ) IS DISTINCT FROM (
        n.title, n.product_title, n.variant_title, n.sku, n.options, n.brand, n.gtin, n.description_digest,
        n.images_digest
    )
LIMIT $1;
