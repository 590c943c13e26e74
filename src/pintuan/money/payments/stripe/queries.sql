-- A Stripe payment in our books.

-- name: find_gateway_payment
-- Finds the gateway's name of an order's payment, from its authorisation or else from an event, with the currency.
SELECT
    coalesce(p.gateway_ref, (
        SELECT e.payment_ref FROM gateway_events e WHERE e.reference = p.order_id AND e.payment_ref IS NOT NULL LIMIT 1
    )) AS payment_ref,
    p.currency
FROM every_operation p
WHERE p.order_id = $1 AND p.kind = 'authorise' AND p.operation_no = 0;
