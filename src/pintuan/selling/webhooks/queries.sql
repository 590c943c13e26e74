-- Merchants' webhook endpoints, the outbox of events, and deliveries.

-- name: count_endpoints
-- Counts the endpoints a merchant has; the merchant's row is locked.
SELECT count(*) FROM webhook_endpoints WHERE merchant_id = $1;

-- name: insert_endpoint
-- Adds an endpoint with its first secret.
WITH endpoint AS (
    INSERT INTO webhook_endpoints (id, merchant_id, url, description, events) VALUES ($1, $2, $3, $4, $5)
    RETURNING id
)
INSERT INTO webhook_secrets (endpoint_id, secret_no, sealed, kid) SELECT id, 1, $6, $7 FROM endpoint;

-- name: list_endpoints
-- Answers a page of a merchant's endpoints, newest first, from just behind ($2, $3).
SELECT id, url, description, events, status, notice, paused_at, failing_since, created_at, updated_at
FROM webhook_endpoints
WHERE merchant_id = $1 AND (created_at, id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::text, ''))
ORDER BY created_at DESC, id DESC
LIMIT $4;

-- name: select_endpoint
-- Reads a merchant's endpoint.
SELECT id, url, description, events, status, notice, paused_at, failing_since, created_at, updated_at
FROM webhook_endpoints
WHERE id = $1 AND merchant_id = $2;

-- name: lock_endpoint
-- Locks a merchant's endpoint for a change of it.
SELECT id, url, description, events, status FROM webhook_endpoints WHERE id = $1 AND merchant_id = $2 FOR NO KEY UPDATE;

-- name: change_endpoint
-- Changes a locked endpoint; a new URL or a new beginning forgets its failures.
UPDATE webhook_endpoints
SET description = $3, events = $4, status = $5, updated_at = app_now(), url = $2,
    failing_since = CASE WHEN url = $2 AND status = $5 THEN failing_since END,
    failures = CASE WHEN url = $2 AND status = $5 THEN failures ELSE 0 END,
    paused_at = CASE WHEN status = $5 THEN paused_at END,
    notice = CASE WHEN status = $5 THEN notice END
WHERE id = $1;

-- name: delete_endpoint
-- Removes a merchant's endpoint with its secrets and answers its URL; nothing when the merchant has none of this id.
DELETE FROM webhook_endpoints WHERE id = $1 AND merchant_id = $2 RETURNING url;

-- name: disable_endpoints
-- Disables all endpoints of a merchant that are not, with a notice, and answers which.
UPDATE webhook_endpoints
SET status = 'disabled', paused_at = NULL, notice = $2, failing_since = NULL, failures = 0, updated_at = app_now()
WHERE merchant_id = $1 AND status <> 'disabled'
RETURNING id;

-- name: delete_endpoints
-- Removes all endpoints of a merchant with their secrets.
DELETE FROM webhook_endpoints WHERE merchant_id = $1;

-- name: count_live_secrets
-- Counts the secrets a locked endpoint signs with.
SELECT count(*) FROM webhook_secrets WHERE endpoint_id = $1 AND (ends_at IS NULL OR ends_at > app_now());

-- name: end_secret
-- Gives the current secret of a locked endpoint $2 ms more, and answers its number and its end.
UPDATE webhook_secrets SET ends_at = app_now() + $2::bigint * interval '1 millisecond'
WHERE endpoint_id = $1 AND ends_at IS NULL
RETURNING secret_no, ends_at;

-- name: insert_secret
-- Adds the secret that a locked endpoint signs with from now on.
INSERT INTO webhook_secrets (endpoint_id, secret_no, sealed, kid) VALUES ($1, $2, $3, $4);

-- name: secrets_to_reseal
-- Lists up to $2 live secrets that are encrypted under one of the keys $1.
SELECT w.endpoint_id || ' ' || w.secret_no AS id FROM webhook_secrets w
WHERE w.kid = ANY($1::text[]) AND (w.ends_at IS NULL OR w.ends_at > app_now())
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'secrets' AND s.row_id = w.endpoint_id || ' ' || w.secret_no AND s.look_at > app_now())
LIMIT $2;

-- name: stale_secrets
-- Locks those of secrets $2 that live and are encrypted under one of the keys $1.
SELECT w.endpoint_id, w.secret_no, w.sealed FROM webhook_secrets w
WHERE w.kid = ANY($1::text[]) AND (w.ends_at IS NULL OR w.ends_at > app_now())
    AND w.endpoint_id || ' ' || w.secret_no = ANY($2::text[])
FOR UPDATE SKIP LOCKED;

-- name: reseal_secret
-- Keeps a locked secret encrypted under another key.
UPDATE webhook_secrets SET sealed = $3, kid = $4 WHERE endpoint_id = $1 AND secret_no = $2;

-- name: secrets_to_purge
-- Lists up to $1 secrets that have ended.
SELECT w.endpoint_id || ' ' || w.secret_no AS id FROM webhook_secrets w
WHERE w.ends_at <= app_now()
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'ended secrets' AND s.row_id = w.endpoint_id || ' ' || w.secret_no AND s.look_at > app_now())
LIMIT $1;

-- name: purge_secrets
-- Forgets those of secrets $1 that have ended.
DELETE FROM webhook_secrets w
USING unnest($1::text[]) AS u (id)
WHERE w.endpoint_id = split_part(u.id, ' ', 1) AND w.secret_no = split_part(u.id, ' ', 2)::integer
    AND w.ends_at <= app_now();

-- name: insert_ping
-- Writes an event for one endpoint alone, and answers its delivery.
WITH event AS (
    INSERT INTO webhook_events (merchant_id, type, object_id) VALUES ($2, 'ping', $1)
    RETURNING id
)
INSERT INTO webhook_deliveries (endpoint_id, event_id) SELECT $1, id FROM event RETURNING id;

-- name: list_deliveries
-- Answers a page of an endpoint's log, newest first, from just behind ($2, $3).
SELECT
    d.id, d.event_id, v.type AS event_type, v.object_id, d.state, d.attempts, d.status_code, d.failure, d.due_at,
    d.attempted_at, d.created_at, d.ended_at
FROM webhook_deliveries d JOIN webhook_events v ON v.id = d.event_id
WHERE d.endpoint_id = $1 AND (d.created_at, d.id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::text, ''))
ORDER BY d.created_at DESC, d.id DESC
LIMIT $4;

-- name: select_delivery
-- Reads one delivery of an endpoint.
SELECT
    d.id, d.event_id, v.type AS event_type, v.object_id, d.state, d.attempts, d.status_code, d.failure, d.due_at,
    d.attempted_at, d.created_at, d.ended_at
FROM webhook_deliveries d JOIN webhook_events v ON v.id = d.event_id
WHERE d.id = $1 AND d.endpoint_id = $2;

-- name: replay_delivery
-- Makes a delivery that has ended, or waits, due now with all its attempts; one on its way goes on.
UPDATE webhook_deliveries
SET state = 'due', attempts = 0, due_at = app_now(), ended_at = NULL
WHERE id = $1 AND endpoint_id = $2 AND state <> 'in_flight';

-- name: replay_events
-- Makes the $5 oldest events from $3 to $4, and those of the same time as the last, due anew for a merchant's endpoint, but for those that were within $6 ms; counts those it made due.
WITH wanted AS (
    SELECT v.id, v.created_at
    FROM webhook_events v JOIN webhook_endpoints e ON e.id = $1 AND e.merchant_id = v.merchant_id
    WHERE e.merchant_id = $2 AND v.type <> 'ping' AND (e.events IS NULL OR v.type = ANY(e.events))
        AND v.created_at >= $3 AND v.created_at < coalesce($4::timestamptz, 'infinity')
    ORDER BY v.created_at
    FETCH FIRST $5 ROWS WITH TIES
),
due AS (
    INSERT INTO webhook_deliveries AS d (endpoint_id, event_id, replayed_at)
    SELECT $1, id, app_now() FROM wanted ORDER BY id
    ON CONFLICT (event_id, endpoint_id) DO UPDATE
    SET state = 'due', attempts = 0, due_at = app_now(), ended_at = NULL, replayed_at = excluded.replayed_at
    WHERE d.state <> 'in_flight'
        AND coalesce(d.replayed_at <= app_now() - $6::bigint * interval '1 millisecond', true)
    RETURNING 1
)
SELECT
    (SELECT count(*) FROM due) AS replayed,
    (
        SELECT min(v.created_at)
        FROM webhook_events v JOIN webhook_endpoints e ON e.id = $1 AND e.merchant_id = v.merchant_id
        WHERE v.type <> 'ping' AND (e.events IS NULL OR v.type = ANY(e.events))
            AND v.created_at > (SELECT max(created_at) FROM wanted) AND v.created_at < coalesce($4, 'infinity')
    ) AS continue_from;

-- name: keep_events
-- Keeps those events (type $1, order or group $2, deal $3, time $4) that an endpoint of the deal's merchant wants, with a delivery for each such endpoint.
WITH kept AS (
    INSERT INTO webhook_events (merchant_id, type, object_id, created_at)
    SELECT d.merchant_id, t.type, t.object_id, t.happened_at
    FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
        WITH ORDINALITY AS t (type, object_id, deal_id, happened_at, place)
    JOIN deals d ON d.id = t.deal_id
    -- Where nobody in the marketplace listens, nothing is looked at.
    WHERE EXISTS (SELECT FROM webhook_endpoints WHERE status <> 'disabled')
        AND EXISTS (
            SELECT FROM webhook_endpoints e
            WHERE e.merchant_id = d.merchant_id AND e.status <> 'disabled' AND e.created_at <= t.happened_at
                AND (e.events IS NULL OR t.type = ANY(e.events))
        )
    ORDER BY t.place
    RETURNING id, merchant_id, type, created_at
)
INSERT INTO webhook_deliveries (endpoint_id, event_id)
SELECT e.id, k.id
FROM kept k JOIN webhook_endpoints e ON e.merchant_id = k.merchant_id
WHERE e.status <> 'disabled' AND e.created_at <= k.created_at AND (e.events IS NULL OR k.type = ANY(e.events))
ORDER BY e.id, k.id;

-- name: claim_deliveries
-- Takes for $4 ms what is due: up to $1 for endpoints that answer, $3 each, and $2 for those that fail, one each.
-- The first due delivery of every endpoint comes before the second of any; nothing is for merchants who may not sell.
WITH RECURSIVE waiting (endpoint_id) AS (
    (SELECT endpoint_id FROM webhook_deliveries WHERE state IN ('due', 'in_flight') ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT d.endpoint_id FROM webhook_deliveries d
        WHERE d.state IN ('due', 'in_flight') AND d.endpoint_id > w.endpoint_id
        ORDER BY d.endpoint_id LIMIT 1
    )
    FROM waiting w WHERE w.endpoint_id IS NOT NULL
),
ready AS (
    SELECT e.id, e.failing_since IS NOT NULL AS failing,
        CASE WHEN e.failing_since IS NULL THEN $3::integer ELSE 1 END - (
            SELECT count(*) FROM webhook_deliveries f
            WHERE f.endpoint_id = e.id AND f.state = 'in_flight' AND f.due_at > app_now()
        ) AS room
    FROM waiting w JOIN webhook_endpoints e ON e.id = w.endpoint_id
    WHERE e.status = 'enabled' AND may_sell(e.merchant_id)
),
candidates AS (
    SELECT d.id, d.due_at, r.failing, row_number() OVER (PARTITION BY r.id ORDER BY d.due_at) AS place
    FROM ready r
    CROSS JOIN LATERAL (
        SELECT id, due_at FROM webhook_deliveries
        WHERE endpoint_id = r.id AND state IN ('due', 'in_flight') AND due_at <= app_now()
            AND NOT EXISTS (
                SELECT FROM setbacks s
                WHERE s.sweep = 'webhooks' AND s.row_id = webhook_deliveries.id AND s.look_at > app_now()
            )
        ORDER BY due_at
        LIMIT greatest(r.room, 0)
    ) d
),
chosen AS (
    (SELECT id FROM candidates WHERE NOT failing ORDER BY place, due_at LIMIT $1)
    UNION ALL
    (SELECT id FROM candidates WHERE failing ORDER BY place, due_at LIMIT $2)
),
claimed AS (
    UPDATE webhook_deliveries d
    SET state = 'in_flight', attempts = d.attempts + 1, attempted_at = app_now(),
        due_at = app_now() + $4::bigint * interval '1 millisecond'
    WHERE d.id = ANY (
        ARRAY(
            SELECT l.id FROM webhook_deliveries l
            WHERE l.id IN (SELECT id FROM chosen) AND l.state IN ('due', 'in_flight') AND l.due_at <= app_now()
            FOR UPDATE SKIP LOCKED
        )
    )
    RETURNING d.id, d.endpoint_id, d.event_id, d.attempts
)
SELECT
    c.id, c.endpoint_id, c.event_id, c.attempts, v.type, v.object_id, v.created_at, e.url,
    e.failing_since IS NOT NULL AS failing,
    ARRAY(
        SELECT s.sealed FROM webhook_secrets s
        WHERE s.endpoint_id = e.id AND (s.ends_at IS NULL OR s.ends_at > app_now())
        ORDER BY s.secret_no DESC
    ) AS sealed_secrets
FROM claimed c
JOIN webhook_events v ON v.id = c.event_id
JOIN webhook_endpoints e ON e.id = c.endpoint_id;

-- name: record_delivered
-- Ends a delivery somebody took, unless it was taken again since; its endpoint answers.
WITH ended AS (
    UPDATE webhook_deliveries
    SET state = 'delivered', status_code = $3, failure = NULL, ended_at = app_now()
    WHERE id = $1 AND state = 'in_flight' AND attempts = $2
    RETURNING endpoint_id
)
UPDATE webhook_endpoints e SET failing_since = NULL, failures = 0
FROM ended
WHERE e.id = ended.endpoint_id AND e.failing_since IS NOT NULL;

-- name: record_failed
-- Records a failed attempt, unless it was taken again since: tried again after $5 ms, or with null never.
-- Its endpoint is paused when it has failed for $6 ms, or $7 times in a row over $8 ms; answers its status then.
WITH recorded AS (
    UPDATE webhook_deliveries
    SET state = CASE WHEN $5::bigint IS NULL THEN 'failed' ELSE 'due' END, status_code = $3, failure = $4,
        due_at = app_now() + coalesce($5, 0) * interval '1 millisecond',
        ended_at = CASE WHEN $5 IS NULL THEN app_now() END
    WHERE id = $1 AND state = 'in_flight' AND attempts = $2
    RETURNING endpoint_id
),
judged AS (
    SELECT e.id,
        e.status = 'enabled' AND (
            e.failing_since <= app_now() - $6::bigint * interval '1 millisecond'
            OR (e.failures + 1 >= $7 AND e.failing_since <= app_now() - $8::bigint * interval '1 millisecond')
        ) IS TRUE AS pauses
    FROM recorded r JOIN webhook_endpoints e ON e.id = r.endpoint_id
)
UPDATE webhook_endpoints e
SET failures = e.failures + 1, failing_since = coalesce(e.failing_since, app_now()),
    status = CASE WHEN j.pauses THEN 'paused' ELSE e.status END,
    paused_at = CASE WHEN j.pauses THEN app_now() ELSE e.paused_at END,
    notice = CASE WHEN j.pauses THEN 'paused after failing for long, at last with: ' || $4 ELSE e.notice END
FROM judged j
WHERE e.id = j.id
RETURNING e.id, CASE WHEN j.pauses THEN 'paused' ELSE e.status END AS status;

-- name: record_gone
-- Ends a delivery for good and disables its endpoint, which said that it is gone.
WITH ended AS (
    UPDATE webhook_deliveries
    SET state = 'failed', status_code = $3, failure = $4, ended_at = app_now()
    WHERE id = $1 AND state = 'in_flight' AND attempts = $2
    RETURNING endpoint_id
)
UPDATE webhook_endpoints e SET status = 'disabled', paused_at = NULL, notice = $4, updated_at = app_now()
FROM ended
WHERE e.id = ended.endpoint_id;

-- name: overdue_ms
-- Says for how long what waits longest has waited, of deliveries to endpoints that answer.
WITH RECURSIVE waiting (endpoint_id) AS (
    (SELECT endpoint_id FROM webhook_deliveries WHERE state IN ('due', 'in_flight') ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT d.endpoint_id FROM webhook_deliveries d
        WHERE d.state IN ('due', 'in_flight') AND d.endpoint_id > w.endpoint_id
        ORDER BY d.endpoint_id LIMIT 1
    )
    FROM waiting w WHERE w.endpoint_id IS NOT NULL
),
since (at) AS (
    SELECT (
        SELECT min(d.due_at) FROM webhook_deliveries d
        WHERE d.endpoint_id = e.id AND d.state IN ('due', 'in_flight')
    )
    FROM waiting w JOIN webhook_endpoints e ON e.id = w.endpoint_id
    WHERE e.status = 'enabled' AND e.failing_since IS NULL AND may_sell(e.merchant_id)
)
SELECT greatest(extract(epoch FROM app_now() - min(at)) * 1000, 0)::bigint FROM since;

-- name: events_to_purge
-- Lists up to $2 events older than $1 ms.
SELECT v.id FROM webhook_events v
WHERE v.created_at < app_now() - $1::bigint * interval '1 millisecond'
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'webhook events' AND s.row_id = v.id AND s.look_at > app_now())
LIMIT $2;

-- name: purge_events
-- Forgets those of events $2 that are older than $1 ms, with their deliveries.
DELETE FROM webhook_events
WHERE id IN (
    SELECT id FROM webhook_events
    WHERE id = ANY($2::text[]) AND created_at < app_now() - $1::bigint * interval '1 millisecond'
    FOR UPDATE SKIP LOCKED
);
