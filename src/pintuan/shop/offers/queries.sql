-- The offers of deals.

-- name: select_current_offer
-- Answers what a deal offers now.
SELECT offer FROM offer_at($1, app_now());
