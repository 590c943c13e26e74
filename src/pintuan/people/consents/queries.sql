-- Recipients who no longer want messages of a kind.

-- name: unsubscribed
-- Lists those of the hashes whose owners want no messages of a kind.
SELECT recipient_digest FROM unsubscribes WHERE recipient_digest = ANY($1::bytea[]) AND kind = $2;

-- name: unsubscribe
-- Notes that somebody wants no messages of a kind any more.
INSERT INTO unsubscribes (recipient_digest, kind, kid, sealed) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;

-- name: unsubscribes_to_reseal
-- Lists up to $2 of those whose hash was not made with the current key.
SELECT u.kind || ' ' || encode(u.recipient_digest, 'hex') AS id FROM unsubscribes u
WHERE u.kid <> $1
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'unsubscribes' AND s.row_id = u.kind || ' ' || encode(u.recipient_digest, 'hex') AND s.look_at > app_now())
LIMIT $2;

-- name: stale_unsubscribes
-- Locks those of $2 whose hash was not made with the current key.
SELECT u.recipient_digest, u.kind, u.sealed FROM unsubscribes u
WHERE u.kid <> $1 AND u.kind || ' ' || encode(u.recipient_digest, 'hex') = ANY($2::text[])
FOR UPDATE SKIP LOCKED;

-- name: drop_unsubscribe
-- Takes one back, to be written again under another hash.
DELETE FROM unsubscribes WHERE recipient_digest = $1 AND kind = $2;
