-- The offers of deals.

-- name: select_current_offer
-- Answers what a deal offers now.
SELECT offer FROM offer_at($1, app_now());

-- name: replaced_offers
-- Lists up to $1 versions that were replaced so long ago that all orders of their time are recorded.
SELECT r.id::text AS id FROM replaced_offers r
WHERE r.replaced_at < app_now() - offer_margin()
    AND NOT EXISTS (
        SELECT FROM setbacks s
        WHERE s.sweep = 'replaced offers' AND s.row_id = r.id::text AND s.look_at > app_now()
    )
ORDER BY r.replaced_at
LIMIT $1;

-- name: drop_spare_offers
-- Takes away those of versions $1 that nobody ordered under, and looks at none of them again.
WITH due AS MATERIALIZED (
    SELECT id, deal_id, valid_from FROM replaced_offers
    WHERE id = ANY(ARRAY(SELECT unnest($1::text[])::bigint)) AND replaced_at < app_now() - offer_margin()
),
spare AS MATERIALIZED (
    SELECT deal_id, valid_from FROM due WHERE offer_is_spare(deal_id, valid_from)
),
dropped AS (
    DELETE FROM offers f USING spare s WHERE f.deal_id = s.deal_id AND f.valid_from = s.valid_from
)
DELETE FROM replaced_offers WHERE id IN (SELECT id FROM due);
