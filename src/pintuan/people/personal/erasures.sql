-- Subjects to be forgotten, and when to look again. Locks: the erasure, then what nouns lock in their rows:
-- orders, then deal_buyers, then lanes, as everywhere.

-- name: insert_erasure
-- Notes that a subject asked to be forgotten, and the alias its orders are kept under.
INSERT INTO erasures AS e (subject, alias, holders) VALUES ($1, $2, holders_of($1))
ON CONFLICT (subject) DO UPDATE SET erased_at = app_now(), look_at = app_now();

-- name: due_erasures
-- Lists up to $1 erasures that want a look, the longest due first; those that failed are tried elsewhere.
SELECT e.subject FROM erasures e
WHERE e.look_at <= app_now()
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'erasures' AND s.row_id = e.subject)
ORDER BY e.look_at LIMIT $1;

-- name: lock_erasure
-- Takes an erasure, unless somebody else is at it; rows made by `until` are the subject's, whose tokens lived for $2 ms.
SELECT alias, holders,
    erased_at + $2::bigint * interval '1 millisecond' AS until,
    erased_at + $2::bigint * interval '1 millisecond' < app_now() AS is_past
FROM erasures
WHERE subject = $1
FOR UPDATE SKIP LOCKED;

-- name: finish_erasure
-- Forgets the subject itself, of whom no row is left, once Redis was told.
DELETE FROM erasures e
WHERE e.subject = $1 AND NOT EXISTS (SELECT FROM forgotten_buyers f WHERE f.buyer_id = e.subject);

-- name: look_later
-- Looks at an erasure again, after a twentieth of its age, within $2 and $3 ms.
UPDATE erasures
SET look_at = app_now() + least(
    greatest((app_now() - erased_at) / 20, $2::bigint * interval '1 millisecond'),
    $3::bigint * interval '1 millisecond'
)
WHERE subject = $1;
