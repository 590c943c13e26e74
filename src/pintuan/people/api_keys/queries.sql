-- Merchants' API keys.

-- name: count_keys
-- Counts the keys a merchant has, expired ones included.
SELECT count(*) FROM api_keys WHERE merchant_id = $1;

-- name: insert_key
-- Adds a key; nothing is returned when it would have expired already.
INSERT INTO api_keys (id, merchant_id, name, secret_digest, expires_at)
SELECT $1, $2, $3, $4, $5
WHERE $5::timestamptz IS NULL OR $5 > app_now()
RETURNING created_at;

-- name: list_keys
-- Answers a page of a merchant's keys, newest first, from just behind ($2, $3).
SELECT id, name, created_at, expires_at, last_used_at
FROM api_keys
WHERE merchant_id = $1 AND (created_at, id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::text, ''))
ORDER BY created_at DESC, id DESC
LIMIT $4;

-- name: delete_key
-- Removes a merchant's key and answers its name; nothing when the merchant has none of this id.
DELETE FROM api_keys WHERE id = $1 AND merchant_id = $2 RETURNING name;

-- name: delete_keys
-- Removes all keys of a merchant and answers which.
DELETE FROM api_keys WHERE merchant_id = $1 RETURNING id;

-- name: use_key
-- Answers the owner of a key that is valid and whose merchant may sell. Notes the use unless one was noted
-- less than $3 ms ago.
WITH valid AS (
    SELECT id, merchant_id, last_used_at
    FROM api_keys
    WHERE id = $1 AND secret_digest = $2 AND (expires_at IS NULL OR expires_at > app_now()) AND may_sell(merchant_id)
),
noted AS (
    UPDATE api_keys k
    SET last_used_at = app_now()
    FROM valid v
    WHERE k.id = v.id
        AND (v.last_used_at IS NULL OR v.last_used_at < app_now() - $3::bigint * interval '1 millisecond')
)
SELECT merchant_id FROM valid;
