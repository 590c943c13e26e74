-- Messages to people: taking those that are due, and recording what became of them.

-- name: insert_notification
-- Adds a message that is due in $7 ms and worth delivering for $6 ms from now on; $8 says whether somebody
-- waits for it.
INSERT INTO notifications (id, kind, channel, recipient_digest, sealed, expires_at, due_at, awaited, sender, destination)
VALUES (
    $1, $2, $3, $4, $5, app_now() + $6::bigint * interval '1 millisecond',
    app_now() + $7::bigint * interval '1 millisecond', $8, $9, $10
);

-- name: supersede_notifications
-- Gives up messages of a kind to a recipient that were not delivered, because a newer one takes their place.
UPDATE notifications
SET state = 'expired', ended_at = app_now(), sealed = NULL
WHERE recipient_digest = ANY($1::bytea[]) AND kind = $2 AND state = 'due';

-- name: take_due_notifications
-- Takes for $8 ms what is due, what outlived its use too: by each channel $1 up to $2 that are waited for and $3 others.
-- Among the others a sender's first comes before anybody's second, and no sender has more than $7 on their
-- way; $4 to $6 say by channel and sender how many are. Of those that are waited for a destination's first
-- comes before any second, and none gets a place while it has more than would be left; $9 to $11 say how many
-- each has.
WITH RECURSIVE slots AS (
    SELECT * FROM unnest($1::text[], $2::integer[], $3::integer[]) AS s (channel, awaited, unasked)
),
senders (channel, sender) AS (
    SELECT s.channel, (
        SELECT n.sender FROM notifications n
        WHERE NOT n.awaited AND n.state IN ('due', 'in_flight') AND n.channel = s.channel
        ORDER BY n.sender LIMIT 1
    )
    FROM slots s WHERE s.unasked > 0
    UNION ALL
    SELECT s.channel, (
        SELECT n.sender FROM notifications n
        WHERE NOT n.awaited AND n.state IN ('due', 'in_flight') AND n.channel = s.channel AND n.sender > s.sender
        ORDER BY n.sender LIMIT 1
    )
    FROM senders s WHERE s.sender IS NOT NULL
),
destinations (channel, destination) AS (
    SELECT s.channel, (
        SELECT n.destination FROM notifications n
        WHERE n.awaited AND n.state IN ('due', 'in_flight') AND n.channel = s.channel
        ORDER BY n.destination LIMIT 1
    )
    FROM slots s WHERE s.awaited > 0
    UNION ALL
    SELECT t.channel, (
        SELECT n.destination FROM notifications n
        WHERE n.awaited AND n.state IN ('due', 'in_flight') AND n.channel = t.channel AND n.destination > t.destination
        ORDER BY n.destination LIMIT 1
    )
    FROM destinations t WHERE t.destination IS NOT NULL
),
unasked AS (
    SELECT s.channel, d.id, d.due_at, coalesce(b.count, 0) + d.place AS place
    FROM senders s JOIN slots USING (channel)
    LEFT JOIN unnest($4::text[], $5::text[], $6::integer[]) AS b (channel, sender, count) USING (channel, sender)
    CROSS JOIN LATERAL (
        SELECT n.id, n.due_at, row_number() OVER (ORDER BY n.due_at) AS place FROM notifications n
        WHERE NOT n.awaited AND n.state IN ('due', 'in_flight') AND n.channel = s.channel AND n.sender = s.sender
            AND n.due_at <= app_now()
            AND NOT EXISTS (
                SELECT FROM setbacks k
                WHERE k.sweep = 'notifications' AND k.row_id = n.id AND k.look_at > app_now()
            )
        ORDER BY n.due_at
        LIMIT greatest(least($7::integer - coalesce(b.count, 0), slots.unasked), 0)
    ) d
    WHERE s.sender IS NOT NULL
),
chosen AS (
    SELECT u.id FROM slots s
    CROSS JOIN LATERAL (
        SELECT c.id FROM unasked c WHERE c.channel = s.channel ORDER BY c.place, c.due_at LIMIT s.unasked
    ) u
),
waiting AS (
    SELECT t.channel, t.destination, coalesce(b.count, 0) AS own, d.id, d.due_at, coalesce(b.count, 0) + d.place AS place
    FROM destinations t JOIN slots USING (channel)
    LEFT JOIN unnest($9::text[], $10::text[], $11::integer[]) AS b (channel, destination, count) USING (channel, destination)
    CROSS JOIN LATERAL (
        SELECT n.id, n.due_at, row_number() OVER (ORDER BY n.due_at) AS place FROM notifications n
        WHERE n.awaited AND n.state IN ('due', 'in_flight') AND n.channel = t.channel AND n.destination = t.destination
            AND n.due_at <= app_now()
            AND NOT EXISTS (
                SELECT FROM setbacks k
                WHERE k.sweep = 'notifications' AND k.row_id = n.id AND k.look_at > app_now()
            )
        ORDER BY n.due_at
        LIMIT 2 * slots.awaited
    ) d
    WHERE t.destination IS NOT NULL
),
-- Messages that another process takes at this moment are passed over, and the next ones taken.
locked AS (
    SELECT s.channel, s.awaited AS room, l.* FROM slots s
    CROSS JOIN LATERAL (
        SELECT w.destination, w.own, n.id, w.due_at
        FROM (
            SELECT * FROM waiting c WHERE c.channel = s.channel ORDER BY c.place, c.due_at LIMIT 2 * s.awaited
        ) w JOIN notifications n ON n.id = w.id
        WHERE n.state IN ('due', 'in_flight') AND n.due_at <= app_now()
        ORDER BY w.place, w.due_at
        LIMIT s.awaited
        FOR UPDATE OF n SKIP LOCKED
    ) l
),
ranked AS (
    SELECT l.*, l.own + row_number() OVER (PARTITION BY l.channel, l.destination ORDER BY l.due_at) AS place
    FROM locked l
),
awaited AS (
    SELECT r.id FROM (
        SELECT p.*, row_number() OVER (PARTITION BY p.channel ORDER BY p.place, p.due_at) AS turn FROM ranked p
    ) r
    WHERE r.destination = '' OR r.place - 1 <= r.room - r.turn
)
UPDATE notifications n
SET state = 'in_flight', attempts = n.attempts + 1, due_at = app_now() + $8::bigint * interval '1 millisecond'
WHERE n.id = ANY (
    ARRAY(
        SELECT id FROM awaited
        UNION ALL
        SELECT l.id FROM (
            SELECT d.id FROM notifications d
            WHERE d.id = ANY (ARRAY(SELECT id FROM chosen)) AND d.state IN ('due', 'in_flight') AND d.due_at <= app_now()
            FOR UPDATE SKIP LOCKED
        ) l
    )
)
RETURNING n.id, n.kind, n.channel, n.awaited, n.sender, n.destination, n.sealed, n.attempts, n.expires_at <= app_now() AS outlived;

-- name: end_notification
-- Ends a message somebody took, unless it was taken again since; wipes what it says unless $5.
UPDATE notifications
SET state = $3, failure = $4, ended_at = app_now(), sealed = CASE WHEN $5 THEN sealed END
WHERE id = $1 AND state = 'in_flight' AND attempts = $2;

-- name: replace_notification
-- Ends a message somebody took as failed, and adds the one ($5 to $9) that takes its place for the rest of its time.
WITH ended AS (
    UPDATE notifications
    SET state = 'failed', failure = $3, ended_at = app_now(), sealed = CASE WHEN $4 THEN sealed END
    WHERE id = $1 AND state = 'in_flight' AND attempts = $2
    RETURNING kind, expires_at, awaited, sender
)
INSERT INTO notifications (id, kind, channel, recipient_digest, sealed, expires_at, awaited, sender, destination)
SELECT $5, e.kind, $6, $7, $8, e.expires_at, e.awaited, e.sender, $9 FROM ended e;

-- name: postpone_notification
-- Makes a message due again after $3 ms, unless it was taken again since.
UPDATE notifications
SET state = 'due', failure = $4, due_at = app_now() + $3::bigint * interval '1 millisecond'
WHERE id = $1 AND state = 'in_flight' AND attempts = $2;

-- name: notifications_to_wipe
-- Lists up to $2 ended messages that were kept readable for $1 ms.
SELECT n.id FROM notifications n
WHERE n.sealed IS NOT NULL AND n.ended_at < app_now() - $1::bigint * interval '1 millisecond'
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'readable messages' AND s.row_id = n.id AND s.look_at > app_now())
LIMIT $2;

-- name: wipe_notifications
-- Wipes those of messages $2 that were kept readable for $1 ms.
UPDATE notifications SET sealed = NULL
WHERE id IN (
    SELECT id FROM notifications
    WHERE id = ANY($2::text[]) AND sealed IS NOT NULL AND ended_at < app_now() - $1::bigint * interval '1 millisecond'
    FOR UPDATE SKIP LOCKED
);

-- name: notifications_to_purge
-- Lists up to $2 messages that ended more than $1 ms ago.
SELECT n.id FROM notifications n
WHERE n.ended_at < app_now() - $1::bigint * interval '1 millisecond'
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'old messages' AND s.row_id = n.id AND s.look_at > app_now())
LIMIT $2;

-- name: purge_notifications
-- Forgets those of messages $2 that ended more than $1 ms ago.
DELETE FROM notifications
WHERE id = ANY($2::text[]) AND ended_at < app_now() - $1::bigint * interval '1 millisecond';

-- name: drop_notifications
-- Forgets every message to a recipient.
DELETE FROM notifications WHERE recipient_digest = ANY($1::bytea[]);

-- name: list_notifications
-- Lists the newest messages to a recipient without what they say, at most $2.
SELECT id, kind, channel, state, created_at, ended_at
FROM notifications
WHERE recipient_digest = ANY($1::bytea[])
ORDER BY created_at DESC, id DESC
LIMIT $2;

-- name: readable_notifications
-- Lists the newest messages that can still be read, at most $2, all of them or those to one recipient.
SELECT channel, sealed, created_at
FROM notifications
WHERE sealed IS NOT NULL AND ($1::bytea[] IS NULL OR recipient_digest = ANY($1))
ORDER BY created_at DESC, id DESC
LIMIT $2;
