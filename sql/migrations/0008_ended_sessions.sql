-- Sessions that ended lately, whose access tokens may not have expired: every process asks for them all the time.

CREATE INDEX refresh_sessions_revoked ON refresh_sessions (revoked_at) WHERE revoked_at IS NOT NULL;
