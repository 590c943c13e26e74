-- The books of the sandbox gateway. Only the sandbox reads and writes them.

-- name: book_authorisations
-- Records a batch of authorisations under their keys and answers the keys that are new.
WITH asked AS MATERIALIZED (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[]) AS t (
        idempotency_key, reference, payment_method, card, amount_minor, currency, refusal
    )
),
fresh AS (
    INSERT INTO sandbox_gateway.calls (idempotency_key, kind, reference, amount_minor, outcome)
    SELECT idempotency_key, 'authorise', reference, amount_minor, coalesce(refusal, 'succeeded')
    FROM asked
    ORDER BY idempotency_key
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING idempotency_key
),
booked AS (
    INSERT INTO sandbox_gateway.authorisations (reference, payment_method, card, amount_minor, currency, status)
    SELECT
        a.reference, a.payment_method, a.card, a.amount_minor, a.currency,
        CASE WHEN a.refusal IS NULL THEN 'authorised' ELSE 'declined' END
    FROM asked a JOIN fresh USING (idempotency_key)
    ORDER BY a.reference
)
SELECT idempotency_key FROM fresh;

-- name: read_calls
-- Reads what was asked and answered under each of the keys, and the method of the payment it was about.
SELECT c.idempotency_key, c.kind, c.reference, c.amount_minor, c.outcome, a.payment_method, a.currency
FROM sandbox_gateway.calls c
LEFT JOIN sandbox_gateway.authorisations a ON a.reference = c.reference
WHERE c.idempotency_key = ANY ($1::text[]);

-- name: lock_authorisations
-- Locks a batch of authorisations, so that what is decided about them next is decided once.
SELECT reference, payment_method, amount_minor, captured_minor, refunded_minor, status
FROM sandbox_gateway.authorisations
WHERE reference = ANY ($1::text[])
ORDER BY reference
FOR UPDATE;

-- name: book_movements
-- Records a batch of decided movements; those that were refused leave their authorisation as it is.
WITH asked AS MATERIALIZED (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[]) AS t (
        idempotency_key, kind, reference, amount_minor, outcome, becomes
    )
),
recorded AS (
    INSERT INTO sandbox_gateway.calls (idempotency_key, kind, reference, amount_minor, outcome)
    SELECT idempotency_key, kind, reference, amount_minor, outcome
    FROM asked
    ORDER BY idempotency_key
    ON CONFLICT (idempotency_key) DO NOTHING
)
UPDATE sandbox_gateway.authorisations a
SET status = m.becomes,
    captured_minor = CASE m.kind WHEN 'capture' THEN m.amount_minor ELSE a.captured_minor END,
    refunded_minor = a.refunded_minor + CASE m.kind WHEN 'refund' THEN m.amount_minor ELSE 0 END
FROM asked m
WHERE a.reference = m.reference AND m.becomes IS NOT NULL;

-- name: look_up
-- Reads the payment with a reference of the merchant's.
SELECT a.status, a.amount_minor, a.captured_minor, a.currency, a.card, ARRAY(
    SELECT c.idempotency_key FROM sandbox_gateway.calls c
    WHERE c.reference = a.reference AND c.kind = 'refund' AND c.outcome = 'succeeded'
) AS refunds
FROM sandbox_gateway.authorisations a
WHERE a.reference = $1;
