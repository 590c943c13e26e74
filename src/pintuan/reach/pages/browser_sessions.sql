-- Sessions of browsers: the same rows as refresh tokens have, but never rotated.

-- name: account_of_browser_session
-- Reads whose session this is and their role now, while the session runs.
SELECT a.id, a.role
FROM refresh_sessions s JOIN accounts a ON a.id = s.account_id
WHERE s.family = $1 AND s.secret_digest = $2 AND s.revoked_at IS NULL AND s.expires_at > app_now();
