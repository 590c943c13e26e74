-- What Postgres holds of a seed's deals once all is over; $1 are the deals' ids.

-- name: under_way
-- Counts what still has to happen: groups that have not ended, held orders, solo orders without an end, open payments.
SELECT
    (SELECT count(*) FROM groups WHERE deal_id = ANY ($1) AND status NOT IN ('succeeded', 'failed')) AS groups,
    (
        SELECT count(*) FROM every_order
        WHERE deal_id = ANY ($1) AND (status = 'held' OR (group_id IS NULL AND status = 'authorised'))
    ) AS orders,
    (
        SELECT count(*) FROM every_operation p JOIN every_order o ON o.id = p.order_id
        WHERE o.deal_id = ANY ($1) AND p.ended_at IS NULL
    ) AS operations;

-- name: deals
-- Reads each deal's stock, and what its lanes say.
SELECT d.id, d.stock_units, d.per_buyer_units, sum(l.stock_units)::bigint AS lanes_stock, sum(l.sold_units)::bigint AS lanes_sold
FROM deals d JOIN lanes l ON l.deal_id = d.id
WHERE d.id = ANY ($1)
GROUP BY d.id;

-- name: groups
-- Reads every group; moments are Unix seconds of the marketplace's own time.
SELECT id, deal_id, status, capacity, min_headcount, tier_headcounts, tier_prices_minor, final_headcount,
    final_unit_price_minor, extract(epoch FROM deadline)::float8 AS deadline_s,
    extract(epoch FROM closing_at)::float8 AS closing_s, extract(epoch FROM settled_at)::float8 AS settled_s
FROM groups
WHERE deal_id = ANY ($1);

-- name: orders
-- Reads every order with its payments, what the ledger has of it, and what the gateway's books say.
SELECT o.id, o.deal_id, o.group_id, o.seat, o.buyer_id, o.quantity, o.status, o.promised_unit_minor AS promised_minor,
    o.final_unit_minor AS final_minor, o.payment_method, extract(epoch FROM o.created_at)::float8 AS created_s,
    extract(epoch FROM o.updated_at)::float8 AS changed_s,
    p.authorise, p.capture, p.void, p.escalated,
    l.sold, l.captured, l.written_off,
    b.status AS gateway_status, coalesce(b.captured_minor, 0) AS gateway_captured
FROM every_order o
CROSS JOIN LATERAL (
    SELECT
        max(state) FILTER (WHERE kind = 'authorise') AS authorise,
        max(state) FILTER (WHERE kind = 'capture') AS capture,
        max(state) FILTER (WHERE kind = 'void') AS void,
        coalesce(bool_or(escalated_at IS NOT NULL), false) AS escalated
    FROM every_operation WHERE order_id = o.id
) p
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'sale' AND line_no = 1), 0)::bigint AS sold,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'capture' AND line_no = 1), 0)::bigint AS captured,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'write_off' AND line_no = 1), 0)::bigint AS written_off
    FROM ledger_postings WHERE order_id = o.id
) l
LEFT JOIN sandbox_gateway.authorisations b ON b.reference = o.id
WHERE o.deal_id = ANY ($1);
