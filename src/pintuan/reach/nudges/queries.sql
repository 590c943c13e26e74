-- Nudges: messages to members of a group that they did not ask for, and their times.

-- name: plan_nudges
-- Makes due what members of groups $1, which opened, are told while these run. A group of less than two hours is over before anybody reads that.
INSERT INTO nudges (group_id, kind, due_at)
SELECT g.id, k.kind, k.due_at
FROM groups g
CROSS JOIN LATERAL (
    VALUES
        ('tier_near', g.opened_at + (g.deadline - g.opened_at) / 2),
        ('hour_left', g.deadline - interval '1 hour')
) AS k (kind, due_at)
WHERE g.id = ANY($1::text[]) AND g.deadline - g.opened_at >= interval '2 hours'
ORDER BY g.id, k.kind
ON CONFLICT DO NOTHING;

-- name: nudge_outcomes
-- Makes due what members of groups $1, which ended at $2, are told of that ($3).
INSERT INTO nudges (group_id, kind, due_at)
SELECT t.group_id, $3, t.ended_at
FROM unnest($1::text[], $2::timestamptz[]) AS t (group_id, ended_at)
ORDER BY t.group_id
ON CONFLICT DO NOTHING;

-- name: due_nudges
-- Lists up to $1 nudges that are due, the longest due first; those that failed are tried elsewhere.
SELECT n.group_id || ' ' || n.kind AS id
FROM nudges n JOIN groups g ON g.id = n.group_id
WHERE n.due_at <= app_now()
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'nudges' AND s.row_id = n.group_id || ' ' || n.kind)
ORDER BY n.due_at
LIMIT $1;

-- name: take_due_nudges
-- Locks those of nudges $1 that are due, with what they are judged by and say.
SELECT
    n.group_id, n.kind, n.after_buyer_id, g.status, g.share_code, g.deadline, g.currency, g.min_headcount,
    g.tier_headcounts, g.tier_prices_minor, p.headcount, d.merchant_id,
    d.nudges AS wanted,
    deal_status_at(d.status, d.starts_at, d.ends_at, app_now()) = 'active'
        AND EXISTS (SELECT FROM lanes l WHERE l.deal_id = d.id AND l.sold_units < l.stock_units) AS sells,
    app_now() AS now, (extract(epoch FROM app_now() - n.due_at) * 1000)::bigint AS late_ms
FROM unnest($1::text[]) AS u (id)
JOIN nudges n ON n.group_id = split_part(u.id, ' ', 1) AND n.kind = split_part(u.id, ' ', 2)
JOIN groups g ON g.id = n.group_id
JOIN group_progress p ON p.group_id = n.group_id
JOIN deals d ON d.id = g.deal_id
WHERE n.due_at <= app_now()
ORDER BY n.due_at
FOR UPDATE OF n SKIP LOCKED;

-- name: end_nudges
-- Ends nudges: everybody was told, or nobody is to be.
DELETE FROM nudges n USING unnest($1::text[], $2::text[]) AS k (group_id, kind)
WHERE n.group_id = k.group_id AND n.kind = k.kind;

-- name: postpone_nudges
-- Looks at nudges of groups again, each in its own time (ms).
UPDATE nudges n SET due_at = app_now() + k.delay_ms * interval '1 millisecond'
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS k (group_id, kind, delay_ms)
WHERE n.group_id = k.group_id AND n.kind = k.kind;

-- name: continue_nudges
-- Notes the last member who was told.
UPDATE nudges n SET after_buyer_id = k.after_buyer_id
FROM unnest($1::text[], $2::text[], $3::text[]) AS k (group_id, kind, after_buyer_id)
WHERE n.group_id = k.group_id AND n.kind = k.kind;

-- name: members_in
-- Lists up to $3 paying members of each group $1, behind $2, with how they are reached and what they
-- ordered; $4 lists those without an address too.
SELECT k.group_id, m.*
FROM unnest($1::text[], $2::text[]) AS k (group_id, after_buyer_id)
CROSS JOIN LATERAL (
    SELECT
        o.buyer_id, o.quantity, o.final_unit_minor, r.language, r.email, r.phone,
        (SELECT f.offer ->> 'title' FROM offer_at(o.deal_id, o.created_at) f) AS title
    FROM orders o LEFT JOIN reachable r ON r.account_id = o.buyer_id
    WHERE o.group_id = k.group_id AND o.buyer_id > k.after_buyer_id
        AND o.status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed') AND o.status <> 'held'
        AND (r.account_id IS NOT NULL OR ($4 AND NOT is_forgotten(o.buyer_id)))
    ORDER BY o.buyer_id
    LIMIT $3
) m;

-- name: members_released
-- Lists the same of groups that failed: those whose money was let go.
SELECT k.group_id, m.*
FROM unnest($1::text[], $2::text[]) AS k (group_id, after_buyer_id)
CROSS JOIN LATERAL (
    SELECT
        o.buyer_id, o.quantity, o.final_unit_minor, r.language, r.email, r.phone,
        (SELECT f.offer ->> 'title' FROM offer_at(o.deal_id, o.created_at) f) AS title
    FROM orders o LEFT JOIN reachable r ON r.account_id = o.buyer_id
    WHERE o.group_id = k.group_id AND o.buyer_id > k.after_buyer_id AND o.status = 'released'
        AND (r.account_id IS NOT NULL OR ($4 AND NOT is_forgotten(o.buyer_id)))
    ORDER BY o.buyer_id
    LIMIT $3
) m;
