-- Invitations and their results.

-- name: invited_group
-- Reads the group a caller invites to, with the content of the message, and how the caller stands in it.
SELECT
    g.status = 'open' AND g.deadline > app_now() AS joinable, g.share_code, g.deadline, g.currency, d.title, d.merchant_id,
    app_now() AS now, unit_price_at(g.tier_headcounts, g.tier_prices_minor, g.min_headcount, p.headcount) AS price_minor,
    EXISTS (SELECT FROM every_order o WHERE o.group_id = g.id AND o.buyer_id = $2) AS was_member,
    seat.id AS seat_id, coalesce(seat.status = 'held', false) AS is_held
FROM groups g LEFT JOIN LATERAL (
    SELECT o.id, o.status FROM every_order o
    WHERE o.group_id = g.id AND o.buyer_id = $2
        AND o.status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
) seat ON true
JOIN group_progress p ON p.group_id = g.id JOIN deals d ON d.id = g.deal_id
WHERE g.id = $1;

-- name: lock_inviter
-- Lets one request of an inviter and group count and add at a time, until its transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('invites ' || $1::text || ' ' || $2::text, 0));

-- name: count_invites
-- Counts whom an inviter invited to a group.
SELECT count(*) FROM invites WHERE group_id = $1 AND inviter_id = $2;

-- name: known_recipients
-- Says which recipients, by the hashes they may be kept under, the inviter invited to the group before, and which anybody did.
SELECT i.recipient_digest, bool_or(i.inviter_id = $2) AS mine
FROM invites i
WHERE i.group_id = $1 AND i.recipient_digest = ANY($3::bytea[])
GROUP BY i.recipient_digest;

-- name: insert_invite
-- Adds an invitation whose message goes out in $7 ms, if $10 is still a paying order, and whose recipient is forgotten $8 ms after the deadline.
INSERT INTO invites (
    code, group_id, inviter_id, channel, recipient_digest, sealed, due_at, forget_at, notification_id, awaits_order_id
)
SELECT $1, g.id, $3, $4, $5, $6, app_now() + $7::bigint * interval '1 millisecond',
    g.deadline + $8::bigint * interval '1 millisecond', $9, $10
FROM groups g WHERE g.id = $2;

-- name: waiting_invites
-- Lists up to $1 invitations whose moment has come and whose inviter's order is no longer held; those that failed are tried elsewhere.
SELECT i.code AS id
FROM invites i LEFT JOIN every_order o ON o.id = i.awaits_order_id
WHERE i.awaits_order_id IS NOT NULL AND i.due_at <= app_now() AND o.status IS DISTINCT FROM 'held'
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'invites' AND s.row_id = i.code)
ORDER BY i.due_at
LIMIT $1;

-- name: settle_invites
-- Lets those messages of invitations $1 go whose inviter's order pays, except those nobody wants any more; forgets invitations of orders that have ended.
WITH ripe AS (
    SELECT i.code, i.notification_id, i.recipient_digest,
        coalesce(
            o.status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed'), false
        ) AS pays
    FROM invites i LEFT JOIN every_order o ON o.id = i.awaits_order_id
    WHERE i.code = ANY($1::text[])
        AND i.awaits_order_id IS NOT NULL AND i.due_at <= app_now() AND o.status IS DISTINCT FROM 'held'
    ORDER BY i.due_at
    FOR UPDATE OF i SKIP LOCKED
),
unwanted AS (
    SELECT r.code FROM ripe r JOIN unsubscribes u ON u.recipient_digest = r.recipient_digest AND u.kind = 'invite'
),
let_go AS (
    UPDATE notifications n SET due_at = app_now()
    FROM ripe r
    WHERE n.id = r.notification_id AND n.state = 'due' AND r.pays AND r.code NOT IN (SELECT code FROM unwanted)
),
taken_back AS (
    DELETE FROM notifications n USING ripe r
    WHERE n.id = r.notification_id AND n.state = 'due' AND (NOT r.pays OR r.code IN (SELECT code FROM unwanted))
),
sent AS (
    UPDATE invites i
    SET awaits_order_id = NULL,
        notification_id = CASE WHEN r.code IN (SELECT code FROM unwanted) THEN NULL ELSE i.notification_id END
    FROM ripe r WHERE i.code = r.code AND r.pays
),
forgotten AS (
    DELETE FROM invites i USING ripe r WHERE i.code = r.code AND NOT r.pays
)
SELECT count(*) FROM ripe;

-- name: list_invites
-- Lists an inviter's invitations to a group with what became of each, the newest first, at most $3.
SELECT
    i.code, i.channel, i.sealed, i.created_at, i.opened_at IS NOT NULL AS opened, i.due_at <= app_now() AND i.awaits_order_id IS NULL AS is_due,
    i.notification_id IS NULL AS withheld, n.state AS notification_state, j.joined, j.authorised
FROM invites i
LEFT JOIN notifications n ON n.id = i.notification_id
CROSS JOIN LATERAL (
    SELECT
        count(*) > 0 AS joined,
        count(*) FILTER (
            WHERE o.status IN ('authorised', 'captured', 'partially_refunded', 'refunded')
        ) > 0 AS authorised
    FROM every_order o
    WHERE o.group_id = i.group_id AND o.invite_code = i.code AND o.buyer_id <> i.inviter_id
) j
WHERE i.group_id = $1 AND i.inviter_id = $2
ORDER BY i.created_at DESC, i.code
LIMIT $3;

-- name: recipients_to_forget
-- Lists up to $1 invitations to groups whose deadline is long past, whose recipients are known.
SELECT i.code AS id FROM invites i
WHERE i.recipient_digest IS NOT NULL AND i.forget_at <= app_now()
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'recipients' AND s.row_id = i.code AND s.look_at > app_now())
LIMIT $1;

-- name: forget_recipients
-- Forgets the recipients of those of invitations $1 whose time is over.
UPDATE invites SET recipient_digest = NULL, sealed = NULL
WHERE code IN (
    SELECT code FROM invites
    WHERE code = ANY($1::text[]) AND recipient_digest IS NOT NULL AND forget_at <= app_now()
    FOR UPDATE SKIP LOCKED
);

-- name: drop_messages_of_inviter
-- Takes back messages of a person's invitations that were not sent yet.
DELETE FROM notifications n USING invites i
WHERE i.inviter_id = $1 AND n.id = i.notification_id AND n.state = 'due';

-- name: drop_invites
-- Forgets the invitations a person sent, and those sent to their addresses.
DELETE FROM invites WHERE inviter_id = $1 OR recipient_digest = ANY($2::bytea[]);

-- name: funnel_of_deal
-- Counts what became of a deal's invitations by channel, and of its group orders that came without one (null).
WITH invited AS (
    SELECT i.* FROM invites i JOIN groups g ON g.id = i.group_id WHERE g.deal_id = $1
),
sent AS (
    SELECT channel, count(*) AS invited, count(opened_at) AS opened FROM invited GROUP BY channel
),
placed AS (
    SELECT
        i.channel, count(*) AS joined,
        count(*) FILTER (WHERE o.status IN ('authorised', 'captured', 'partially_refunded', 'refunded')) AS authorised,
        count(*) FILTER (WHERE o.status IN ('captured', 'partially_refunded', 'refunded')) AS settled
    FROM every_order o
    LEFT JOIN invited i ON i.code = o.invite_code AND i.group_id = o.group_id AND i.inviter_id <> o.buyer_id
    WHERE o.deal_id = $1 AND o.group_id IS NOT NULL
    GROUP BY i.channel
)
SELECT
    c.channel, coalesce(s.invited, 0) AS invited, coalesce(s.opened, 0) AS opened, coalesce(p.joined, 0) AS joined,
    coalesce(p.authorised, 0) AS authorised, coalesce(p.settled, 0) AS settled
FROM (VALUES ('email'), ('sms'), ('push'), (NULL)) AS c (channel)
LEFT JOIN sent s ON s.channel = c.channel
LEFT JOIN placed p ON p.channel IS NOT DISTINCT FROM c.channel;

-- name: deal_of_seller
-- Finds a deal of a merchant; with null, of anybody.
SELECT merchant_id FROM deals WHERE id = $1 AND ($2::text IS NULL OR merchant_id = $2);

-- name: members_by_inviter
-- Lists a merchant's (with null anybody's) group's orders from just behind ($4, $5), the oldest first, with whose invitation each came by; at most $3.
SELECT o.id, o.buyer_id, o.seat, o.status, o.created_at, i.channel, i.inviter_id, m.buyer_reference_key
FROM groups g
JOIN deals d ON d.id = g.deal_id AND ($2::text IS NULL OR d.merchant_id = $2)
JOIN merchants m ON m.id = d.merchant_id
JOIN (
    -- Each half has an index.
    SELECT * FROM orders
    WHERE group_id = $1 AND status NOT IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
    UNION ALL
    SELECT * FROM orders
    WHERE group_id = $1 AND status IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed')
    UNION ALL
    SELECT * FROM archived_orders WHERE group_id = $1
) o ON o.group_id = g.id
LEFT JOIN invites i ON i.code = o.invite_code AND i.group_id = o.group_id AND i.inviter_id <> o.buyer_id
WHERE g.id = $1 AND ($4::timestamptz IS NULL OR (o.created_at, o.id) > ($4, $5::text))
ORDER BY o.created_at, o.id
LIMIT $3;

-- name: export_invites
-- Lists the newest invitations a person sent, at most $2.
SELECT group_id, channel, sealed, created_at, opened_at
FROM invites
WHERE inviter_id = $1
ORDER BY created_at DESC, code
LIMIT $2;
