-- A market with a past, written in bulk: groups, their members, and all that their orders leave behind, as the
-- application would have written it. `pintuan audit` finds nothing wrong with it.

-- name: stop_autovacuum
-- Leaves statistics and dead rows as they are, so that nothing but joins is at work while joins are measured.
ALTER SYSTEM SET autovacuum = off;

-- name: reload_settings
-- Has the server take settings up that were changed.
SELECT pg_reload_conf();

-- name: write_lazily
-- Lets this session's commits not wait for the disk; what is lost in a crash can be made again.
SET synchronous_commit = off;

-- name: clean_up
-- Does at once what autovacuum would do in the next minutes, statistics included.
VACUUM (ANALYZE);

-- name: write_out
-- Writes to disk what was changed, so that the server is not at it while joins are measured.
CHECKPOINT;

-- name: copy_deal
-- Adds $2 ended deals with the terms of deal $1 and one lane each, and answers their ids.
WITH copies AS (
    INSERT INTO deals (
        id, merchant_id, product_id, variant_id, title, status, currency, list_price_minor, tier_headcounts,
        tier_prices_minor, min_headcount, max_headcount, group_ttl_ms, starts_at, stock_units, per_buyer_units,
        lane_count, created_at, updated_at
    )
    SELECT
        'deal_' || lpad(to_hex((extract(epoch FROM d.created_at) * 1000)::bigint), 12, '0')
            || substr(md5(d.id || n), 1, 20),
        d.merchant_id, d.product_id, d.variant_id, d.title, 'ended', d.currency, d.list_price_minor, d.tier_headcounts,
        d.tier_prices_minor, d.min_headcount, d.max_headcount, d.group_ttl_ms, d.starts_at - interval '30 days',
        d.stock_units, d.per_buyer_units, 1, d.created_at - interval '30 days', d.created_at
    FROM deals d CROSS JOIN generate_series(1, $2::integer) AS n
    WHERE d.id = $1
    RETURNING id, stock_units
),
lanes_made AS (
    INSERT INTO lanes (deal_id, lane_no, stock_units) SELECT id, 0, stock_units FROM copies
)
SELECT id FROM copies;

-- name: add_groups
-- Adds $2 groups of deal $1 with $3 members each, opened 25 hours ago, or ten days ago if $4 says that they succeeded.
WITH terms AS (
    SELECT d.*, app_now() - CASE WHEN $4 THEN interval '10 days' ELSE interval '25 hours' END AS opened_at
    FROM deals d WHERE d.id = $1
),
numbered AS (
    SELECT n, 'grp_' || lpad(to_hex((extract(epoch FROM t.opened_at) * 1000)::bigint), 12, '0')
        || substr(md5(t.id || ':' || n), 1, 20) AS id
    FROM terms t CROSS JOIN generate_series(1, $2::integer) AS n
),
added AS (
    INSERT INTO groups (
        id, deal_id, lane_no, share_code, status, leader_order_id, capacity, min_headcount, tier_headcounts,
        tier_prices_minor, currency, opened_at, deadline, closing_at, settle_by, settled_at, ended_at,
        final_headcount, final_unit_price_minor
    )
    SELECT
        g.id, t.id, 0, translate(substr(md5(g.id), 1, 12), '01ae', 'ghjk'),
        CASE WHEN $4 THEN 'succeeded' ELSE 'open' END,
        'ord_' || substr(g.id, 5, 12) || substr(md5(g.id || ':1'), 1, 20),
        t.max_headcount, t.min_headcount, t.tier_headcounts, t.tier_prices_minor, t.currency,
        t.opened_at, t.opened_at + t.group_ttl_ms * interval '1 millisecond',
        c.moment, c.moment, c.moment, c.moment,
        CASE WHEN $4 THEN $3::integer END,
        CASE WHEN $4 THEN unit_price_at(t.tier_headcounts, t.tier_prices_minor, t.min_headcount, $3::integer) END
    FROM numbered g CROSS JOIN terms t
    CROSS JOIN LATERAL (
        SELECT CASE WHEN $4 THEN t.opened_at + t.group_ttl_ms * interval '1 millisecond' END AS moment
    ) c
    RETURNING id, capacity, deadline
)
INSERT INTO group_progress (group_id, capacity, headcount, check_at)
SELECT id, capacity, $3::integer, CASE WHEN NOT $4 THEN deadline END FROM added;

-- name: add_members
-- Fills the groups of deal $1 with $2 members each, all paid for in groups that succeeded and authorised in the others.
INSERT INTO orders (
    id, deal_id, lane_no, group_id, seat, group_capacity, buyer_id, quantity, status, currency, promised_unit_minor,
    final_unit_minor, payment_method, request_id, hold_until, created_at, updated_at
)
SELECT
    'ord_' || substr(g.id, 5, 12) || substr(md5(g.id || ':' || seat), 1, 20),
    g.deal_id, g.lane_no, g.id, seat, g.capacity, 'past-' || g.n || '-' || seat, 1,
    CASE g.status WHEN 'succeeded' THEN 'captured' ELSE 'authorised' END, g.currency, p.promised_minor,
    CASE g.status WHEN 'succeeded' THEN least(p.promised_minor, g.final_unit_price_minor) END, 'pm_ok', decode(md5(g.id || ':' || seat), 'hex'),
    g.opened_at + interval '1 minute', g.opened_at, coalesce(g.ended_at, g.opened_at)
FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM groups WHERE deal_id = $1) g
CROSS JOIN generate_series(1, $2::integer) AS seat
CROSS JOIN LATERAL (
    SELECT unit_price_at(g.tier_headcounts, g.tier_prices_minor, g.min_headcount, seat) AS promised_minor
) p;

-- name: count_buyers
-- Counts the units of each buyer of deal $1.
INSERT INTO deal_buyers (deal_id, buyer_id, units)
SELECT deal_id, buyer_id, sum(quantity) FROM orders WHERE deal_id = $1 GROUP BY deal_id, buyer_id;

-- name: count_sold
-- Counts the units that the only lane of deal $1 has sold.
UPDATE lanes SET sold_units = (SELECT coalesce(sum(quantity), 0) FROM orders WHERE deal_id = $1) WHERE deal_id = $1;

-- name: add_payments
-- Adds the authorisation of every order of deal $1, and the capture of those that were paid for, at some other gateway.
INSERT INTO payment_operations (
    order_id, kind, state, amount_minor, currency, attempts, due_at, gateway_ref, created_at, ended_at
)
SELECT o.id, k.kind, 'succeeded', k.unit_minor * o.quantity, o.currency, 1, o.created_at, 'bench:' || o.id,
    o.created_at, o.updated_at
FROM orders o
CROSS JOIN LATERAL (
    VALUES ('authorise', o.promised_unit_minor), ('capture', o.final_unit_minor)
) AS k (kind, unit_minor)
WHERE o.deal_id = $1 AND (k.kind = 'authorise' OR o.status = 'captured');

-- name: add_postings
-- Posts the sale and the capture of every order of deal $1 that was paid for, without a fee.
INSERT INTO ledger_postings (order_id, kind, line_no, account, merchant_id, amount_minor, currency, created_at)
SELECT o.id, e.kind, e.line_no, e.account, d.merchant_id, e.sign * o.final_unit_minor * o.quantity, o.currency,
    o.updated_at
FROM orders o JOIN deals d ON d.id = o.deal_id
CROSS JOIN (
    VALUES
        ('sale', 1, 'buyer_receivable', 1), ('sale', 2, 'merchant_payable', -1),
        ('capture', 1, 'gateway_clearing', 1), ('capture', 2, 'buyer_receivable', -1)
) AS e (kind, line_no, account, sign)
WHERE o.deal_id = $1 AND o.status = 'captured';

-- name: open_groups
-- Reads the open groups of deal $1 in their order.
SELECT id FROM groups WHERE deal_id = $1 AND status = 'open' ORDER BY id;

-- name: pay_held
-- Has the payments that are due for deal $1 succeed at some other gateway, as workers would have them.
UPDATE payment_operations p
SET state = 'succeeded', attempts = 1, ended_at = app_now(), gateway_ref = 'bench:' || p.order_id
FROM orders o
WHERE o.id = p.order_id AND o.deal_id = $1 AND o.status = 'held' AND p.kind = 'authorise' AND p.ended_at IS NULL;

-- name: authorise_held
-- Authorises the orders of deal $1 whose payments have succeeded.
UPDATE orders o SET status = 'authorised', updated_at = app_now()
FROM payment_operations p
WHERE p.order_id = o.id AND p.kind = 'authorise' AND p.state = 'succeeded' AND o.deal_id = $1 AND o.status = 'held';
