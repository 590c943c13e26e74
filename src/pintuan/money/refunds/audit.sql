-- The questions of `pintuan audit` about refunds. Every statement answers (id, detail) of each fault, at most
-- $1 rows.

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
