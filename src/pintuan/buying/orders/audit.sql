-- The questions of `pintuan audit` about orders and their buyers. Every statement answers (id, detail) of
-- each fault, at most $1 rows.

-- name: buyers_within_their_limit
-- A buyer's counted units are those of their live orders, and within the limit; nobody counts a week after the deal.
SELECT
    format('%s in %s', coalesce(b.buyer_id, o.buyer_id), coalesce(b.deal_id, o.deal_id)) AS id,
    format('%s counted, %s in orders, limit %s', b.units, o.units, d.per_buyer_units) AS detail
FROM deal_buyers b
FULL JOIN (
    SELECT deal_id, buyer_id, sum(quantity) AS units FROM every_order
    WHERE order_is_live(status) GROUP BY deal_id, buyer_id
) o ON o.deal_id = b.deal_id AND o.buyer_id = b.buyer_id
JOIN deals d ON d.id = coalesce(b.deal_id, o.deal_id)
WHERE (
        coalesce(b.units, 0) <> coalesce(o.units, 0)
        AND coalesce(deal_ended_at(d.status, d.ends_at, d.updated_at) > app_now() - interval '7 days', true)
    )
    OR coalesce(b.units, 0) > d.per_buyer_units
LIMIT $1;

-- name: requests_lead_to_their_orders
-- The key an order was placed under leads to it, for as long as keys are kept.
SELECT o.id, format('key leads to %s', k.order_id) AS detail
FROM every_order o LEFT JOIN idempotency_keys k ON k.request_id = o.request_id
WHERE k.order_id IS DISTINCT FROM o.id AND o.created_at > app_now() - interval '23 hours'
LIMIT $1;

-- name: charges_keep_promises
-- Every charge is the smaller of promise and settled price; nobody in a failed group is charged.
SELECT o.id, format('promised %s, settled %s, charged %s', o.promised_unit_minor, g.final_unit_price_minor, o.final_unit_minor) AS detail
FROM every_order o LEFT JOIN groups g ON g.id = o.group_id
WHERE CASE
    WHEN o.group_id IS NULL THEN o.final_unit_minor <> o.promised_unit_minor
    WHEN g.settled_at IS NULL OR g.final_headcount < g.min_headcount THEN o.final_unit_minor IS NOT NULL
    WHEN o.status IN ('authorised', 'captured', 'partially_refunded', 'refunded', 'payment_failed')
        THEN o.final_unit_minor IS DISTINCT FROM least(o.promised_unit_minor, g.final_unit_price_minor)
    ELSE o.final_unit_minor IS NOT NULL
END
LIMIT $1;

-- name: cards_shared_by_accounts
-- Cards that three accounts or more have paid with in 30 days, those of most accounts first.
SELECT 'card ' || encode(o.card_digest, 'hex') AS id,
    format('%s accounts, %s orders in %s deals, %s of them live', count(DISTINCT o.buyer_id), count(*),
        count(DISTINCT o.deal_id), count(*) FILTER (WHERE order_is_live(o.status))) AS detail
FROM every_order o
WHERE o.card_digest IS NOT NULL AND o.created_at > app_now() - interval '30 days'
GROUP BY o.card_digest
HAVING count(DISTINCT o.buyer_id) >= 3
ORDER BY count(DISTINCT o.buyer_id) DESC, o.card_digest
LIMIT $1;

-- name: addresses_shared_by_accounts
-- Addresses that five accounts or more have had goods sent to in 30 days, named by one of their orders.
SELECT 'address of ' || min(o.id) AS id,
    format('%s accounts, %s orders in %s deals', count(DISTINCT o.buyer_id), count(*), count(DISTINCT o.deal_id)) AS detail
FROM every_order o
WHERE o.ship_to IS NOT NULL AND o.created_at > app_now() - interval '30 days'
GROUP BY lower(o.ship_to::text)
HAVING count(DISTINCT o.buyer_id) >= 5
ORDER BY count(DISTINCT o.buyer_id) DESC, min(o.id)
LIMIT $1;
