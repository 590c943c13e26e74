-- Payment operations: taking what is due, and recording what became of it.
-- A recorder of outcomes locks the orders first; claims lock operations alone and wait for nobody.

-- name: claim_due_operations
-- Takes up to $1 due operations, for a lease of $2 ms, with the arguments of the call to the gateway.
WITH claimed AS (
    UPDATE payment_operations p
    SET state = 'in_flight', attempts = p.attempts + 1, due_at = app_now() + $2::bigint * interval '1 millisecond',
        first_tried_at = coalesce(tried_since(p.attempts, p.first_tried_at, p.created_at), app_now())
    WHERE p.ctid = ANY (
        ARRAY(
            SELECT d.ctid
            FROM payment_operations d
            WHERE d.state IN ('due', 'in_flight', 'unknown') AND d.due_at <= app_now()
                AND NOT EXISTS (
                    SELECT FROM setbacks s
                    WHERE s.sweep = 'payments' AND s.look_at > app_now()
                        AND s.row_id = concat_ws(':', d.order_id, d.kind, nullif(d.operation_no, 0))
                )
            ORDER BY d.due_at
            LIMIT $1
            FOR UPDATE SKIP LOCKED
        )
    )
    RETURNING
        p.order_id, p.kind, p.operation_no, p.amount_minor, p.currency, p.attempts, p.created_at, p.first_tried_at
)
SELECT
    c.order_id, c.kind, c.operation_no, c.amount_minor, c.currency, c.attempts,
    (extract(epoch FROM app_now() - c.created_at) * 1000)::bigint AS age_ms,
    (extract(epoch FROM app_now() - c.first_tried_at) * 1000)::bigint AS tried_for_ms,
    o.status AS order_status, o.payment_method, o.buyer_id
FROM claimed c
-- One look-up by key for each row, whatever the planner believes about the tables' sizes.
CROSS JOIN LATERAL (
    SELECT status, payment_method, buyer_id FROM orders WHERE id = c.order_id LIMIT 1
) o;

-- name: count_open_operations_by_state
-- Counts operations nobody is done with, by kind and state, `escalated` among them; of each sort at most $1.
SELECT kind, state, count(*) AS count
FROM (
    (
        SELECT kind, state FROM payment_operations
        WHERE state IN ('due', 'in_flight', 'unknown')
        ORDER BY due_at LIMIT $1
    )
    UNION ALL
    (
        SELECT kind, 'escalated' FROM payment_operations
        WHERE escalated_at IS NOT NULL
        ORDER BY escalated_at LIMIT $1
    )
) open_operations
GROUP BY kind, state;

-- name: list_escalated
-- Lists up to $1 operations that wait for a person, the longest first.
SELECT p.order_id, p.kind, p.operation_no, p.state, p.amount_minor, p.currency, p.attempts, p.failure, p.escalated_at,
    o.status AS order_status
FROM payment_operations p JOIN orders o ON o.id = p.order_id
WHERE p.escalated_at IS NOT NULL
ORDER BY p.escalated_at, p.order_id, p.kind, p.operation_no
LIMIT $1;

-- name: look_again
-- Makes an operation due now that was escalated, or that waits for its next attempt; $4 is the least its
-- attempts become.
UPDATE payment_operations
SET state = 'unknown', due_at = app_now(), ended_at = NULL,
    attempts = CASE WHEN escalated_at IS NULL THEN attempts ELSE greatest(attempts, $4) END, escalated_at = NULL
WHERE order_id = $1 AND kind = $2 AND operation_no = $3
    AND (escalated_at IS NOT NULL OR (state IN ('due', 'unknown') AND attempts > 0));

-- name: take_escalated
-- Takes an escalated operation for a lease of $4 ms, to record what was learned about it otherwise.
UPDATE payment_operations p
SET state = 'in_flight', attempts = p.attempts + 1, due_at = app_now() + $4::bigint * interval '1 millisecond',
    ended_at = NULL, escalated_at = NULL
FROM orders o
WHERE p.order_id = $1 AND p.kind = $2 AND p.operation_no = $3 AND p.escalated_at IS NOT NULL AND o.id = p.order_id
RETURNING p.order_id, p.kind, p.operation_no, p.amount_minor, p.currency, p.attempts,
    (extract(epoch FROM app_now() - p.created_at) * 1000)::bigint AS age_ms,
    (extract(epoch FROM app_now() - coalesce(p.first_tried_at, p.created_at)) * 1000)::bigint AS tried_for_ms,
    o.status AS order_status, o.payment_method, o.buyer_id;

-- name: lock_orders
-- Locks a batch of orders, ascending, and reads what decides about their payments.
SELECT
    id, status, group_id, quantity, promised_unit_minor, final_unit_minor, refund_asked_minor, refunded_minor, currency
FROM orders
WHERE id = ANY ($1::text[])
ORDER BY id
FOR UPDATE;

-- name: read_open_operations
-- Reads which of a batch of operations have not ended, or only by escalation; run it after the orders are locked.
SELECT p.order_id, p.kind, p.operation_no, p.escalated_at IS NOT NULL AS escalated
FROM unnest($1::text[], $2::text[], $3::integer[]) AS u (order_id, kind, operation_no)
JOIN payment_operations p ON p.order_id = u.order_id AND p.kind = u.kind AND p.operation_no = u.operation_no
WHERE p.ended_at IS NULL OR p.escalated_at IS NOT NULL;

-- name: judge_cards
-- Says of locked orders $1 which digests their cards $2 have, and why one may not pay: failures count for $3 ms. Says
-- `new_cards_max` of a card that never paid the merchant, where the deal limits how many seats of a group such cards have.
WITH cards AS MATERIALIZED (
    SELECT o.id AS order_id, o.buyer_id, o.group_id, o.deal_id, o.quantity, d.merchant_id, d.per_buyer_units,
        CASE WHEN o.group_id IS NOT NULL THEN d.new_cards_per_group END AS new_cards_max,
        card_digest(u.card) AS card_digest
    FROM unnest($1::text[], $2::text[]) AS u (order_id, card)
    JOIN orders o ON o.id = u.order_id
    JOIN deals d ON d.id = o.deal_id
)
SELECT c.order_id, c.group_id, c.card_digest,
    CASE
        WHEN EXISTS (
            SELECT FROM orders o
            WHERE o.group_id = c.group_id AND o.card_digest = c.card_digest
                AND o.status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
        ) THEN 'card_in_group'
        WHEN c.group_id IS NOT NULL AND EXISTS (
            SELECT FROM failed_cards f
            WHERE f.card_digest = c.card_digest AND f.failed_at > app_now() - $3::bigint * interval '1 millisecond'
        ) THEN 'card_failed_before'
        WHEN c.quantity + (
            SELECT coalesce(sum(o.quantity), 0) FROM orders o
            WHERE o.card_digest = c.card_digest AND o.deal_id = c.deal_id
                AND o.status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
        ) + coalesce(
            (SELECT e.units FROM erased_units e WHERE e.deal_id = c.deal_id AND e.holder = c.card_digest), 0
        ) > c.per_buyer_units THEN 'card_limit'
        -- Joins count the units of an account; these are of accounts the same person had before.
        WHEN b.erased_units > 0 AND c.quantity + b.erased_units + (
            SELECT coalesce(sum(o.quantity), 0) FROM orders o
            WHERE o.buyer_id = c.buyer_id AND o.deal_id = c.deal_id AND o.id <> c.order_id
                AND o.status NOT IN ('held', 'declined', 'expired', 'cancelled', 'released', 'payment_failed')
        ) > c.per_buyer_units THEN 'buyer_limit'
    END AS refusal,
    CASE
        -- Cards are looked up one by one: an EXISTS here might be planned as a look at every order ever paid
        -- for.
        WHEN c.new_cards_max IS NOT NULL AND (
            SELECT true FROM every_order o
            WHERE o.card_digest = c.card_digest AND o.status IN ('captured', 'partially_refunded')
                AND (SELECT d.merchant_id FROM deals d WHERE d.id = o.deal_id) = c.merchant_id
            LIMIT 1
        ) IS NULL THEN c.new_cards_max
    END AS new_cards_max
FROM cards c
CROSS JOIN LATERAL (
    SELECT max(h.units) AS erased_units
    FROM (
        SELECT coalesce((SELECT e.units FROM erased_units e WHERE e.deal_id = c.deal_id AND e.holder = k.holder), 0) + (
            SELECT coalesce(sum(u.units), 0)
            FROM erasures x JOIN deal_buyers u ON u.deal_id = c.deal_id AND u.buyer_id = x.subject
            WHERE x.holders @> ARRAY[k.holder] AND x.subject <> c.buyer_id
        ) AS units
        FROM unnest(holders_of(c.buyer_id)) AS k (holder)
    ) h
) b;

-- name: lock_new_cards
-- Keeps others from seating new cards in groups $1 until the transaction ends; locked in order, so that two
-- cannot deadlock.
SELECT pg_advisory_xact_lock(hashtextextended('new cards ' || g.group_id, 0))
FROM (SELECT group_id FROM unnest($1::text[]) AS u (group_id) ORDER BY group_id) g;

-- name: count_new_cards
-- Counts the seats that new cards have in each of groups $1; run it after the groups are locked.
SELECT u.group_id, (
    SELECT count(*) FROM orders o
    WHERE o.group_id = u.group_id AND o.new_card
        AND o.status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
) AS seats
FROM unnest($1::text[]) AS u (group_id);

-- name: note_failed_cards
-- Notes that the captures of orders $1 finally failed, by their cards.
INSERT INTO failed_cards AS f (card_digest, failed_at)
SELECT DISTINCT o.card_digest, app_now() FROM orders o
WHERE o.id = ANY($1::text[]) AND o.card_digest IS NOT NULL
ORDER BY o.card_digest
ON CONFLICT (card_digest) DO UPDATE SET failed_at = excluded.failed_at;

-- name: forget_failed_cards
-- Forgets that the cards of orders $1, which were captured, had failed before.
DELETE FROM failed_cards f USING orders o WHERE o.id = ANY($1::text[]) AND f.card_digest = o.card_digest;

-- name: move_orders
-- Moves a batch of locked orders to their new status; a null price leaves the one they have.
UPDATE orders o
SET status = u.status, final_unit_minor = coalesce(u.final_unit_minor, o.final_unit_minor), updated_at = app_now(),
    card_digest = coalesce(u.card_digest, o.card_digest), decline_reason = u.decline_reason,
    new_card = o.new_card OR u.new_card
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[], $5::text[], $6::boolean[]) AS u (
    id, status, final_unit_minor, card_digest, decline_reason, new_card
)
WHERE o.id = u.id;

-- name: move_refunded_orders
-- Counts refunds of a batch of locked orders, one of each: the amount given back, or one that may be asked
-- for again.
WITH outcome AS (
    SELECT *
    FROM unnest($1::text[], $2::integer[], $3::text[], $4::bigint[], $5::bigint[]) AS u (
        order_id, operation_no, status, refunded_minor, released_minor
    )
),
moved AS (
    UPDATE orders o
    SET status = coalesce(u.status, o.status), refunded_minor = o.refunded_minor + u.refunded_minor,
        refund_asked_minor = o.refund_asked_minor - u.released_minor, updated_at = app_now()
    FROM outcome u
    WHERE o.id = u.order_id
)
INSERT INTO ledger_postings (order_id, kind, operation_no, line_no, account, merchant_id, amount_minor, currency)
SELECT
    a.order_id, CASE WHEN u.released_minor > 0 THEN 'refund_failed' ELSE 'refund_paid' END, a.operation_no, l.line_no,
    coalesce(l.account, a.account), a.merchant_id, -a.amount_minor * l.sign, a.currency
FROM outcome u
JOIN ledger_postings a ON a.order_id = u.order_id AND a.kind = 'refund_asked' AND a.operation_no = u.operation_no
CROSS JOIN LATERAL (
    -- A refund that failed takes every line back; one that was paid clears the second, what the buyer was owed.
    SELECT a.line_no, NULL::text AS account, 1 AS sign WHERE u.released_minor > 0
    UNION ALL
    SELECT 1, 'refunds', 1 WHERE u.released_minor = 0 AND a.line_no = 2
    UNION ALL
    SELECT 2, 'gateway_clearing', -1 WHERE u.released_minor = 0 AND a.line_no = 2
) l
ORDER BY a.order_id, a.operation_no, l.line_no;

-- name: end_operations
-- Ends a batch of operations for good, or until a person looks at those that are escalated.
UPDATE payment_operations p
SET state = u.state, gateway_ref = u.gateway_ref, failure = u.failure, ended_at = app_now(),
    escalated_at = CASE WHEN u.escalated THEN app_now() END
FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::boolean[]) AS u (
    order_id, kind, operation_no, state, gateway_ref, failure, escalated
)
WHERE p.order_id = u.order_id AND p.kind = u.kind AND p.operation_no = u.operation_no
    AND (p.ended_at IS NULL OR p.escalated_at IS NOT NULL);

-- name: postpone_operations
-- Makes a batch of operations due again after some ms, unless somebody else has taken one since.
UPDATE payment_operations p
SET state = u.state, failure = u.failure, due_at = app_now() + u.delay_ms * interval '1 millisecond'
FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::bigint[], $7::integer[]) AS u (
    order_id, kind, operation_no, state, failure, delay_ms, attempts
)
WHERE p.order_id = u.order_id AND p.kind = u.kind AND p.operation_no = u.operation_no
    AND p.state = 'in_flight' AND p.attempts = u.attempts;

-- name: add_operations
-- Adds a batch of operations that are due now; one the order already has stays as it is.
INSERT INTO payment_operations (order_id, kind, amount_minor, currency, due_at, created_at)
SELECT u.order_id, u.kind, u.amount_minor, u.currency, app_now(), app_now()
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS u (order_id, kind, amount_minor, currency)
ORDER BY u.order_id, u.kind
ON CONFLICT (order_id, kind, operation_no) DO NOTHING;
