-- The questions of `pintuan audit` about payments. Every statement answers (id, detail) of each fault, at
-- most $1 rows.

-- name: new_cards_within_their_limit
-- No more live seats of a group were paid by cards that were new to the merchant than its deal allows.
SELECT o.group_id AS id, format('%s seats of new cards, limit %s', count(*), d.new_cards_per_group) AS detail
FROM every_order o JOIN deals d ON d.id = o.deal_id
WHERE o.new_card AND order_is_live(o.status)
GROUP BY o.group_id, d.new_cards_per_group
HAVING count(*) > d.new_cards_per_group
LIMIT $1;

-- name: captures_take_the_charge
-- A capture takes exactly the charge of its order, and a captured order has a capture that succeeded.
SELECT o.id, format('%s, capture of %s %s', o.status, p.amount_minor, p.state) AS detail
FROM every_order o LEFT JOIN every_operation p ON p.order_id = o.id AND p.kind = 'capture'
WHERE (p.order_id IS NOT NULL AND p.amount_minor IS DISTINCT FROM o.final_unit_minor * o.quantity)
    OR (o.status IN ('captured', 'partially_refunded', 'refunded')) <> (p.state IS NOT DISTINCT FROM 'succeeded')
LIMIT $1;

-- name: authorisations_end
-- An authorisation whose order ended is captured or voided, or on its way there.
SELECT o.id, format('%s, authorised without capture or void', o.status) AS detail
FROM every_order o
JOIN every_operation a ON a.order_id = o.id AND a.kind = 'authorise' AND a.state = 'succeeded'
LEFT JOIN groups g ON g.id = o.group_id
WHERE (NOT order_is_live(o.status) OR g.status IN ('succeeded', 'failed') OR o.status = 'captured')
    AND NOT EXISTS (SELECT FROM every_operation p WHERE p.order_id = o.id AND p.kind IN ('capture', 'void'))
LIMIT $1;

-- name: orders_are_paid_for_once
-- An authorised order has an authorisation that succeeded, and no order is both captured and voided.
SELECT o.id, format('%s', o.status) AS detail
FROM every_order o
LEFT JOIN (
    SELECT order_id,
        max(state) FILTER (WHERE kind = 'authorise') AS authorise,
        max(state) FILTER (WHERE kind = 'capture') AS capture,
        max(state) FILTER (WHERE kind = 'void') AS void
    FROM every_operation
    WHERE operation_no = 0
    GROUP BY order_id
) p ON p.order_id = o.id
WHERE p.authorise IS NULL
    OR (
        o.status IN ('authorised', 'captured', 'partially_refunded', 'refunded', 'released', 'payment_failed')
        AND p.authorise <> 'succeeded'
    )
    OR (p.capture = 'succeeded' AND p.void = 'succeeded')
    -- An order whose card was refused here had been authorised, and is let go.
    OR (o.status = 'declined' AND p.authorise NOT IN ('declined', 'failed')
        AND (o.decline_reason IS NULL OR p.void IS NULL))
LIMIT $1;

-- name: sandbox_books_agree
-- The sandbox gateway's books say what our operations say; payments of another gateway are none of its business.
SELECT coalesce(b.reference, p.order_id) AS id,
    format('ours: %s %s %s, theirs: %s of %s', p.kind, p.state, p.amount_minor, b.status, b.captured_minor) AS detail
FROM every_operation p
FULL JOIN sandbox_gateway.authorisations b ON b.reference = p.order_id
WHERE p.order_id IS NULL
    OR (p.state = 'succeeded' AND (b.reference IS NOT NULL OR coalesce(starts_with(p.gateway_ref, 'sandbox:'), true))
        AND CASE p.kind
        WHEN 'authorise' THEN b.status IS NULL OR b.status = 'declined' OR b.amount_minor <> p.amount_minor
            OR b.currency <> p.currency
        WHEN 'capture' THEN b.status IS DISTINCT FROM 'captured' OR b.captured_minor <> p.amount_minor
        WHEN 'void' THEN b.status IS DISTINCT FROM 'voided'
    END)
    OR (p.kind = 'capture' AND p.state = 'declined' AND b.status = 'captured')
    OR (p.kind = 'authorise' AND p.state = 'declined' AND b.status IS NOT NULL AND b.status <> 'declined')
    OR (p.kind = 'capture' AND p.state = 'succeeded' AND b.refunded_minor NOT BETWEEN (
        SELECT coalesce(sum(f.amount_minor) FILTER (WHERE f.state = 'succeeded'), 0)
        FROM every_operation f WHERE f.order_id = p.order_id AND f.kind = 'refund'
    ) AND (
        -- A refund whose answer is still out may be in their books already.
        SELECT coalesce(sum(f.amount_minor) FILTER (WHERE f.state <> 'declined'), 0)
        FROM every_operation f WHERE f.order_id = p.order_id AND f.kind = 'refund'
    ))
LIMIT $1;

-- name: escalated_operations
-- Payment operations that wait for a person: given up without an answer, or voids that were refused.
SELECT concat_ws(':', p.order_id, p.kind, nullif(p.operation_no, 0)) AS id, format('%s: %s', p.state, p.failure) AS detail
FROM payment_operations p
WHERE p.escalated_at IS NOT NULL
LIMIT $1;
