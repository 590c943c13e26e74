-- The opening of shared links.

-- name: note_opened
-- Notes that somebody followed a personal link for the first time.
UPDATE invites i SET opened_at = app_now()
FROM groups g
WHERE i.code = $2 AND i.opened_at IS NULL AND g.id = i.group_id AND g.share_code = $1;
