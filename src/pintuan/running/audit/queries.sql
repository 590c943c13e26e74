-- What `pintuan audit` asks. Every check answers (id, detail) of what breaks it, at most $1 rows.

-- name: seats_within_capacity
-- Live seats of a group are distinct, belong to distinct buyers, and do not exceed its capacity.
SELECT o.group_id AS id, format('%s live seats of %s', count(*), g.capacity) AS detail
FROM every_order o LEFT JOIN groups g ON g.id = o.group_id
WHERE o.group_id IS NOT NULL AND order_is_live(o.status)
GROUP BY o.group_id, g.capacity
HAVING count(*) > g.capacity OR count(*) <> count(DISTINCT o.seat) OR count(*) <> count(DISTINCT o.buyer_id)
LIMIT $1;

-- name: orders_belong_to_their_group
-- Every seat is in a group of its own deal and lane, and knows that group's capacity.
SELECT o.id, format('group %s, lane %s:%s', o.group_id, o.deal_id, o.lane_no) AS detail
FROM every_order o LEFT JOIN groups g ON g.id = o.group_id
WHERE o.group_id IS NOT NULL
    AND (
        g.id IS NULL OR g.deal_id <> o.deal_id OR g.lane_no <> o.lane_no OR g.capacity <> o.group_capacity
        OR g.currency <> o.currency
    )
LIMIT $1;

-- name: lanes_count_what_is_sold
-- A lane's sold units are the units of its live orders.
SELECT format('%s:%s', l.deal_id, l.lane_no) AS id, format('%s counted, %s in orders', l.sold_units, o.units) AS detail
FROM lanes l
CROSS JOIN LATERAL (
    SELECT coalesce(sum(quantity), 0) AS units FROM every_order
    WHERE deal_id = l.deal_id AND lane_no = l.lane_no AND order_is_live(status)
) o
WHERE l.sold_units <> o.units
LIMIT $1;

-- name: lanes_add_up_to_the_stock
-- The lanes' stock adds up to the deal's, and no lane sold more than it has.
SELECT d.id, format('deal has %s, lanes have %s and sold %s', d.stock_units, l.stock_units, l.sold_units) AS detail
FROM deals d
CROSS JOIN LATERAL (
    SELECT sum(stock_units) AS stock_units, sum(sold_units) AS sold_units, bool_or(sold_units > stock_units) AS oversold
    FROM lanes WHERE deal_id = d.id
) l
WHERE l.stock_units IS DISTINCT FROM d.stock_units OR l.oversold
LIMIT $1;

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

-- name: new_cards_within_their_limit
-- No more live seats of a group were paid by cards that were new to the merchant than its deal allows.
SELECT o.group_id AS id, format('%s seats of new cards, limit %s', count(*), d.new_cards_per_group) AS detail
FROM every_order o JOIN deals d ON d.id = o.deal_id
WHERE o.new_card AND order_is_live(o.status)
GROUP BY o.group_id, d.new_cards_per_group
HAVING count(*) > d.new_cards_per_group
LIMIT $1;

-- name: headcounts_are_authorised_members
-- A group's headcount is the number of its members whose payment was authorised when it was last counted.
SELECT g.id, format('%s counted, %s members', coalesce(g.final_headcount, p.headcount), coalesce(m.members, 0)) AS detail
FROM groups g
LEFT JOIN group_progress p ON p.group_id = g.id
LEFT JOIN (
    SELECT group_id, count(*) AS members
    FROM every_order
    WHERE status IN ('authorised', 'captured', 'partially_refunded', 'refunded', 'released', 'payment_failed')
    GROUP BY group_id
) m ON m.group_id = g.id
WHERE p.group_id IS NULL OR coalesce(m.members, 0) <> coalesce(g.final_headcount, p.headcount)
LIMIT $1;

-- name: groups_close_in_time
-- No group closed before its deadline unless it was full, and only ended groups are no longer watched.
SELECT g.id, format('%s, closed %s, deadline %s', g.status, g.closing_at, g.deadline) AS detail
FROM groups g LEFT JOIN group_progress p ON p.group_id = g.id
WHERE (g.closing_at < g.deadline AND coalesce(g.final_headcount, p.headcount) < g.capacity)
    OR (p.check_at IS NULL) <> (g.status IN ('succeeded', 'failed'))
LIMIT $1;

-- name: settled_groups
-- Pages through settled groups with all that the settled price follows from, from behind $1.
SELECT id, status, min_headcount, tier_headcounts, tier_prices_minor, final_headcount, final_unit_price_minor
FROM groups
WHERE settled_at IS NOT NULL AND id > $1
ORDER BY id
LIMIT $2;

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
    -- One whose card was refused here had been authorised, and is let go.
    OR (o.status = 'declined' AND p.authorise NOT IN ('declined', 'failed')
        AND (o.decline_reason IS NULL OR p.void IS NULL))
LIMIT $1;

-- name: requests_lead_to_their_orders
-- The key an order was placed under leads to it, for as long as keys are kept.
SELECT o.id, format('key leads to %s', k.order_id) AS detail
FROM every_order o LEFT JOIN idempotency_keys k ON k.request_id = o.request_id
WHERE k.order_id IS DISTINCT FROM o.id AND o.created_at > app_now() - interval '23 hours'
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
        -- One whose answer is still out may be in their books already.
        SELECT coalesce(sum(f.amount_minor) FILTER (WHERE f.state <> 'declined'), 0)
        FROM every_operation f WHERE f.order_id = p.order_id AND f.kind = 'refund'
    ))
LIMIT $1;

-- name: ledger_adds_up
-- Every transaction of the ledger adds up to zero in one currency, and the balances are the sums of the postings.
SELECT format('%s %s %s', order_id, kind, operation_no) AS id, format('adds up to %s', sum(amount_minor)) AS detail
FROM ledger_postings
GROUP BY order_id, kind, operation_no
HAVING sum(amount_minor) <> 0 OR count(DISTINCT currency) > 1
UNION ALL
SELECT format('%s %s', account, merchant_id), format('balance %s, postings %s %s', b.balance_minor, p.sum_minor, currency)
FROM ledger_balances b
FULL JOIN (
    SELECT merchant_id, account, currency, sum(amount_minor) AS sum_minor
    FROM ledger_postings GROUP BY merchant_id, account, currency
) p USING (merchant_id, account, currency)
WHERE b.balance_minor IS DISTINCT FROM p.sum_minor
LIMIT $1;

-- name: charges_are_in_the_ledger
-- What an order was charged, paid and given back is what the ledger says.
SELECT o.id, format('%s, charged %s: sold %s, captured %s, written off %s, asked back %s, paid back %s', o.status,
    o.final_unit_minor * o.quantity, l.sold, l.captured, l.written_off, l.asked, l.paid) AS detail
FROM every_order o
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'sale' AND line_no = 1), 0) AS sold,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'capture' AND line_no = 1), 0) AS captured,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'write_off' AND line_no = 1), 0) AS written_off,
        coalesce(sum(amount_minor) FILTER (WHERE kind IN ('refund_asked', 'refund_failed') AND line_no = 1), 0) AS asked,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'refund_paid' AND line_no = 1), 0) AS paid
    FROM ledger_postings WHERE order_id = o.id
) l
WHERE l.sold <> coalesce(o.final_unit_minor * o.quantity, 0)
    OR l.captured <> CASE WHEN o.status IN ('captured', 'partially_refunded', 'refunded') THEN l.sold ELSE 0 END
    OR l.written_off <> CASE o.status WHEN 'payment_failed' THEN l.sold ELSE 0 END
    OR l.asked <> o.refund_asked_minor OR l.paid <> o.refunded_minor
LIMIT $1;

-- name: refunds_are_what_was_asked
-- An order's refunds add up to what was asked back of it, and those that succeeded to what was given back.
SELECT o.id, format('asked %s of %s, given back %s of %s', r.asked, o.refund_asked_minor, r.paid, o.refunded_minor) AS detail
FROM every_order o
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(p.amount_minor) FILTER (WHERE p.state <> 'declined'), 0) AS asked,
        coalesce(sum(p.amount_minor) FILTER (WHERE p.state = 'succeeded'), 0) AS paid,
        count(*) = (SELECT count(*) FROM refunds f WHERE f.order_id = o.id) AS same_count
    FROM every_operation p WHERE p.order_id = o.id AND p.kind = 'refund'
) r
WHERE r.asked <> o.refund_asked_minor OR r.paid <> o.refunded_minor OR NOT r.same_count
LIMIT $1;

-- name: archive_is_whole
-- An order is in one place with its payments, is over where it is archived, and its refunds and group know where.
SELECT a.id, 'in the archive and outside of it' AS detail
FROM archived_orders a JOIN orders o ON o.id = a.id
UNION ALL
SELECT a.id, format('archived while %s', a.status)
FROM archived_orders a
WHERE NOT order_is_over(a.id, a.status)
    OR EXISTS (SELECT FROM payment_operations p WHERE p.order_id = a.id)
    OR EXISTS (
        SELECT FROM archived_operations p
        WHERE p.order_id = a.id AND (p.ended_at IS NULL OR p.escalated_at IS NOT NULL)
    )
UNION ALL
SELECT p.order_id, format('its %s is archived without it', p.kind)
FROM archived_operations p LEFT JOIN archived_orders a ON a.id = p.order_id
WHERE a.id IS NULL
UNION ALL
SELECT r.order_id, format('has refund %s and is nowhere', r.id)
FROM refunds r LEFT JOIN every_order o ON o.id = r.order_id
WHERE o.id IS NULL
UNION ALL
SELECT g.id, format('archived without %s', o.id)
FROM groups g JOIN orders o ON o.group_id = g.id
WHERE g.archived_at IS NOT NULL
LIMIT $1;

-- name: escalated_operations
-- Payment operations that wait for a person: given up without an answer, or voids that were refused.
SELECT concat_ws(':', p.order_id, p.kind, nullif(p.operation_no, 0)) AS id, format('%s: %s', p.state, p.failure) AS detail
FROM payment_operations p
WHERE p.escalated_at IS NOT NULL
LIMIT $1;

-- name: gateway_surprises
-- What the gateway told of payments that nobody here had asked for, newest first.
SELECT coalesce(e.reference, e.event_id) AS id, format('%s: %s (%s)', e.kind, e.surprise, e.event_id) AS detail
FROM gateway_events e
WHERE e.surprise IS NOT NULL
ORDER BY e.received_at DESC
LIMIT $1;

-- name: overdue_groups
-- Groups that should have gone on over a minute ago: no worker is running, or none can settle them. The longest first.
SELECT g.id, concat(format('%s since %s', g.status, p.check_at), ', at last: ' || s.failure) AS detail
FROM group_progress p
JOIN groups g ON g.id = p.group_id
LEFT JOIN setbacks s ON s.sweep = 'lifecycle' AND s.row_id = g.id
WHERE p.check_at < app_now() - interval '1 minute'
ORDER BY p.check_at
LIMIT $1;

-- name: rows_set_aside
-- Rows that a sweep failed on so often that it tries them once an hour, the longest first.
SELECT concat(s.sweep, ' ', s.row_id) AS id,
    format('%s times since %s, at last: %s', s.attempts, s.first_at, s.failure) AS detail
FROM setbacks s
WHERE s.set_aside_at IS NOT NULL
ORDER BY s.set_aside_at, s.sweep, s.row_id
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

-- name: payments_at_rest
-- Reads the payments of one gateway ($2: the sandbox or not) that nothing is under way for, the $1 newest or that of $3.
SELECT
    a.order_id, a.amount_minor AS authorised_minor, a.currency,
    CASE WHEN c.state = 'succeeded' THEN 'captured' WHEN v.state = 'succeeded' THEN 'voided' ELSE 'authorised' END AS status,
    CASE WHEN c.state = 'succeeded' THEN c.amount_minor ELSE 0 END AS captured_minor,
    ARRAY(
        SELECT f.operation_no FROM every_operation f
        WHERE f.order_id = a.order_id AND f.kind = 'refund' AND f.state = 'succeeded'
    ) AS refund_numbers
FROM every_operation a
LEFT JOIN every_operation c ON c.order_id = a.order_id AND c.kind = 'capture'
LEFT JOIN every_operation v ON v.order_id = a.order_id AND v.kind = 'void'
WHERE a.kind = 'authorise' AND a.state = 'succeeded' AND starts_with(a.gateway_ref, 'sandbox:') = $2
    AND ($3::text IS NULL OR a.order_id = $3)
    AND NOT EXISTS (
        -- What is open may have happened there already, and what was given up nobody knows.
        SELECT FROM every_operation o
        WHERE o.order_id = a.order_id AND (o.ended_at IS NULL OR o.state = 'failed')
    )
ORDER BY a.ended_at DESC
LIMIT $1;

-- name: watched_lanes
-- Pages through the lanes whose seats may need a look: their deal runs, did so an hour ago, or has open groups.
SELECT l.deal_id, l.lane_no, l.epoch
FROM lanes l JOIN deals d ON d.id = l.deal_id
WHERE (l.deal_id, l.lane_no) > ($1, $2)
    AND (
        (d.status <> 'ended' AND coalesce(d.ends_at > app_now() - interval '1 hour', true))
        OR EXISTS (SELECT FROM groups g WHERE g.deal_id = l.deal_id AND g.status = 'open')
    )
ORDER BY l.deal_id, l.lane_no
LIMIT $3;
