-- The log of changes by merchants, admins and operators. Nothing here changes an entry: the database refuses
-- it.

-- name: note_activity
-- Adds an entry ($1 id, $2 merchant, $3 to $6 who and with what, $7 to $9 what, $10 request), and the address $11 beside it.
WITH entry AS (
    INSERT INTO activity (
        id, merchant_id, actor, actor_role, credential, credential_id, action, object_ids, changes, request_id
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    RETURNING id
)
INSERT INTO activity_addresses (activity_id, address)
SELECT id, $11::text::inet FROM entry WHERE $11 IS NOT NULL;

-- name: list_activity
-- Answers a page of the log, newest first, from just behind ($7, $8): of merchant $1, actor $2, action $3, object $4, from $5 and before $6, each unless null.
SELECT
    a.id, a.merchant_id, a.actor, a.actor_role, a.credential, a.credential_id, a.action, a.object_ids, a.changes,
    a.request_id, a.created_at, host(x.address) AS address
FROM activity a LEFT JOIN activity_addresses x ON x.activity_id = a.id
WHERE
    ($1::text IS NULL OR a.merchant_id = $1)
    AND ($2::text IS NULL OR a.actor = $2)
    AND ($3::text IS NULL OR a.action = $3)
    AND ($4::text IS NULL OR a.object_ids @> ARRAY[$4])
    AND ($5::timestamptz IS NULL OR a.created_at >= $5)
    AND ($6::timestamptz IS NULL OR a.created_at < $6)
    AND (a.created_at, a.id) < (coalesce($7::timestamptz, 'infinity'), coalesce($8::text, ''))
ORDER BY a.created_at DESC, a.id DESC
LIMIT $9;

-- name: addresses_to_forget
-- Lists up to $2 entries whose addresses are older than $1 ms.
SELECT x.activity_id AS id FROM activity_addresses x
WHERE x.created_at < app_now() - $1::bigint * interval '1 millisecond'
    AND NOT EXISTS (
        SELECT FROM setbacks s
        WHERE s.sweep = 'activity addresses' AND s.row_id = x.activity_id AND s.look_at > app_now()
    )
ORDER BY x.created_at
LIMIT $2;

-- name: forget_addresses
-- Forgets the addresses of those of entries $2 whose address is older than $1 ms.
DELETE FROM activity_addresses
WHERE activity_id = ANY($2::text[]) AND created_at < app_now() - $1::bigint * interval '1 millisecond';
