-- Accounts and how people sign in. Locks: a code or a session first, then the account, then its contacts.

-- name: put_asked_code
-- Makes a code the only one that contact $1 has for client $2, for $4 ms.
INSERT INTO asked_codes AS c (contact_digest, client_digest, code_digest, expires_at)
VALUES ($1, $2, $3, app_now() + $4::bigint * interval '1 millisecond')
ON CONFLICT (contact_digest, client_digest) DO UPDATE
SET code_digest = excluded.code_digest, attempts = 0, expires_at = excluded.expires_at, created_at = app_now();

-- name: lock_asked_codes
-- Locks the codes of a contact, under any of the digests its keys make, that have not expired.
SELECT contact_digest, client_digest, code_digest, attempts
FROM asked_codes
WHERE contact_digest = ANY($1::bytea[]) AND expires_at > app_now()
ORDER BY contact_digest, client_digest
FOR UPDATE;

-- name: count_asked_attempt
-- Counts a wrong answer against the locked code of client $2.
UPDATE asked_codes SET attempts = attempts + 1 WHERE contact_digest = $1 AND client_digest = $2;

-- name: is_known_client
-- Says whether somebody signed in with the contact from client $2 in the last $3 ms.
SELECT EXISTS (
    SELECT FROM known_clients
    WHERE contact_digest = ANY($1::bytea[]) AND client_digest = $2
        AND seen_at > app_now() - $3::bigint * interval '1 millisecond'
);

-- name: know_client
-- Notes that somebody signed in with contact $1 from client $2; of others the $3 newest stay known.
WITH forgotten AS (
    DELETE FROM known_clients
    WHERE contact_digest = $1 AND client_digest <> $2 AND client_digest NOT IN (
        SELECT k.client_digest FROM known_clients k
        WHERE k.contact_digest = $1 AND k.client_digest <> $2
        ORDER BY k.seen_at DESC, k.client_digest
        LIMIT $3
    )
)
INSERT INTO known_clients AS k (contact_digest, client_digest) VALUES ($1, $2)
ON CONFLICT (contact_digest, client_digest) DO UPDATE SET seen_at = app_now();

-- name: forget_clients
-- Forgets from where somebody signed in.
DELETE FROM known_clients WHERE contact_digest = ANY($1::bytea[]);

-- name: asked_codes_to_purge
-- Lists up to $1 codes that have expired, in hexadecimal digits of whose and which client's they are.
SELECT encode(c.contact_digest, 'hex') || encode(c.client_digest, 'hex') AS id FROM asked_codes c
WHERE c.expires_at < app_now()
    AND NOT EXISTS (
        SELECT FROM setbacks s WHERE s.sweep = 'asked codes' AND s.look_at > app_now()
            AND s.row_id = encode(c.contact_digest, 'hex') || encode(c.client_digest, 'hex')
    )
LIMIT $1;

-- name: purge_asked_codes
-- Forgets those of codes $1 that have expired.
DELETE FROM asked_codes
WHERE (contact_digest, client_digest) IN (
    SELECT c.contact_digest, c.client_digest
    FROM unnest($1::text[]) AS u (id)
    JOIN asked_codes c ON c.contact_digest = decode(left(u.id, 64), 'hex') AND c.client_digest = decode(right(u.id, -64), 'hex')
    WHERE c.expires_at < app_now()
    FOR UPDATE OF c SKIP LOCKED
);

-- name: known_clients_to_purge
-- Lists up to $2 clients that nobody signed in from for $1 ms, as two hexadecimal digests: their contact and
-- the client.
SELECT encode(c.contact_digest, 'hex') || encode(c.client_digest, 'hex') AS id FROM known_clients c
WHERE c.seen_at < app_now() - $1::bigint * interval '1 millisecond'
    AND NOT EXISTS (
        SELECT FROM setbacks s WHERE s.sweep = 'known clients' AND s.look_at > app_now()
            AND s.row_id = encode(c.contact_digest, 'hex') || encode(c.client_digest, 'hex')
    )
LIMIT $2;

-- name: purge_known_clients
-- Forgets those of clients $2 that nobody signed in from for $1 ms.
DELETE FROM known_clients
WHERE (contact_digest, client_digest) IN (
    SELECT c.contact_digest, c.client_digest
    FROM unnest($2::text[]) AS u (id)
    JOIN known_clients c ON c.contact_digest = decode(left(u.id, 64), 'hex') AND c.client_digest = decode(right(u.id, -64), 'hex')
    WHERE c.seen_at < app_now() - $1::bigint * interval '1 millisecond'
    FOR UPDATE OF c SKIP LOCKED
);

-- name: put_code
-- Makes a code the newest of a contact, for $3 ms.
INSERT INTO sign_in_codes AS c (contact_digest, code_digest, expires_at)
VALUES ($1, $2, app_now() + $3::bigint * interval '1 millisecond')
ON CONFLICT (contact_digest) DO UPDATE
SET code_digest = excluded.code_digest, attempts = 0, expires_at = excluded.expires_at, created_at = app_now();

-- name: lock_code
-- Locks the newest code of a contact, under any of the digests its keys make, while it can still be used.
SELECT contact_digest, code_digest, attempts
FROM sign_in_codes
WHERE contact_digest = ANY($1::bytea[]) AND expires_at > app_now() AND attempts < $2::integer
ORDER BY created_at DESC
LIMIT 1
FOR UPDATE;

-- name: count_attempt
-- Counts a wrong answer against a locked newest code.
UPDATE sign_in_codes SET attempts = attempts + 1 WHERE contact_digest = $1;

-- name: drop_codes
-- Forgets the codes of a contact: the right one was told, or the person asked to be forgotten.
WITH asked AS (DELETE FROM asked_codes WHERE contact_digest = ANY($1::bytea[]))
DELETE FROM sign_in_codes WHERE contact_digest = ANY($1::bytea[]);

-- name: account_of_contact
-- Finds the account of a contact, and keeps it from being erased until the transaction ends.
SELECT a.id, a.role
FROM contacts c JOIN accounts a ON a.id = c.account_id
WHERE c.kind = $1 AND c.address = $2
FOR SHARE OF a;

-- name: insert_account
-- Adds an account.
INSERT INTO accounts (id, role) VALUES ($1, $2);

-- name: claim_contact
-- Gives a contact to an account unless another one has it; answers whose it is.
INSERT INTO contacts AS c (kind, address, account_id)
VALUES ($1, $2, $3)
ON CONFLICT (kind, address) DO UPDATE SET address = excluded.address
RETURNING account_id;

-- name: drop_account
-- Removes an account with its contacts and sessions; answers nothing when there is none.
DELETE FROM accounts WHERE id = $1 RETURNING id;

-- name: set_role
-- Gives an account a role; refresh tokens carry it from their next use on.
UPDATE accounts SET role = $2 WHERE id = $1 RETURNING id;

-- name: set_language
-- Notes the language somebody reads.
UPDATE accounts SET language = $2 WHERE id = $1 AND language IS DISTINCT FROM $2;

-- name: select_account
-- Reads an account with its contacts, or nothing for a subject that has none.
SELECT a.id, a.created_at, a.language,
    (SELECT c.address FROM contacts c WHERE c.account_id = a.id AND c.kind = 'email') AS email,
    (SELECT c.address FROM contacts c WHERE c.account_id = a.id AND c.kind = 'phone') AS phone
FROM accounts a
WHERE a.id = $1;

-- name: insert_session
-- Begins a session that lasts $5 ms unless it is refreshed.
INSERT INTO refresh_sessions (id, account_id, family, secret_digest, expires_at)
VALUES ($1, $2, $3, $4, app_now() + $5::bigint * interval '1 millisecond');

-- name: lock_session
-- Locks the session a token names, if it still runs, and reads which token is its newest.
SELECT s.id, s.account_id, s.secret_digest
FROM refresh_sessions s
WHERE s.family = $1 AND s.revoked_at IS NULL AND s.expires_at > app_now()
FOR UPDATE;

-- name: role_of_account
-- Reads the role an account has now.
SELECT role FROM accounts WHERE id = $1;

-- name: rotate_session
-- Makes a token the session's newest; it lasts $3 ms more, and never beyond $4 ms after the sign-in.
UPDATE refresh_sessions
SET secret_digest = $2, rotations = rotations + 1, refreshed_at = app_now(),
    expires_at = least(
        app_now() + $3::bigint * interval '1 millisecond', created_at + $4::bigint * interval '1 millisecond'
    )
WHERE id = $1
RETURNING ceil(extract(epoch FROM expires_at - app_now()))::bigint AS expires_in_s;

-- name: revoke_session
-- Ends a session for good.
UPDATE refresh_sessions SET revoked_at = app_now() WHERE id = $1 AND revoked_at IS NULL;

-- name: revoke_sessions
-- Ends all sessions of an account that run, and answers which.
UPDATE refresh_sessions SET revoked_at = app_now()
WHERE account_id = $1 AND revoked_at IS NULL AND expires_at > app_now()
RETURNING id;

-- name: list_sessions
-- Lists an account's newest sessions, at most $2.
SELECT id, created_at, refreshed_at, expires_at, revoked_at
FROM refresh_sessions
WHERE account_id = $1
ORDER BY created_at DESC, id DESC
LIMIT $2;

-- name: sessions_to_purge
-- Lists up to $2 sessions that expired more than $1 ms ago.
SELECT r.id FROM refresh_sessions r
WHERE r.expires_at < app_now() - $1::bigint * interval '1 millisecond'
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'sessions' AND s.row_id = r.id AND s.look_at > app_now())
LIMIT $2;

-- name: purge_sessions
-- Forgets those of sessions $2 that expired more than $1 ms ago.
DELETE FROM refresh_sessions
WHERE id = ANY($2::text[]) AND expires_at < app_now() - $1::bigint * interval '1 millisecond';

-- name: codes_to_purge
-- Lists up to $1 codes that have expired, in hexadecimal digits of whose they are.
SELECT encode(c.contact_digest, 'hex') AS id FROM sign_in_codes c
WHERE c.expires_at < app_now()
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'codes' AND s.row_id = encode(c.contact_digest, 'hex') AND s.look_at > app_now())
LIMIT $1;

-- name: purge_codes
-- Forgets those of codes $1 that have expired.
DELETE FROM sign_in_codes
WHERE contact_digest = ANY(ARRAY(SELECT decode(u, 'hex') FROM unnest($1::text[]) AS u)) AND expires_at < app_now();

-- name: windows_to_purge
-- Lists up to $1 windows in which nothing counts any more.
SELECT w.scope || ' ' || encode(w.key_digest, 'hex') AS id FROM limit_windows w
WHERE w.idle_at < app_now()
    AND NOT EXISTS (SELECT FROM setbacks s WHERE s.sweep = 'windows' AND s.row_id = w.scope || ' ' || encode(w.key_digest, 'hex') AND s.look_at > app_now())
LIMIT $1;

-- name: purge_windows
-- Forgets those of windows $1 in which nothing counts any more; one that is being counted in is left.
DELETE FROM limit_windows
WHERE (scope, key_digest) IN (
    SELECT w.scope, w.key_digest
    FROM unnest($1::text[]) AS u (id)
    JOIN limit_windows w ON w.scope = left(u.id, -65) AND w.key_digest = decode(right(u.id, 64), 'hex')
    WHERE w.idle_at < app_now()
    FOR UPDATE OF w SKIP LOCKED
);

-- name: recently_erased_subjects
-- Lists the subjects that were erased in the last $1 ms, whose access tokens may not have expired.
SELECT subject FROM erasures WHERE erased_at > app_now() - $1::bigint * interval '1 millisecond';

-- name: is_erased
-- Says whether a subject was erased in the last $2 ms.
SELECT EXISTS (
    SELECT FROM erasures WHERE subject = $1 AND erased_at > app_now() - $2::bigint * interval '1 millisecond'
);

-- name: recently_revoked_sessions
-- Lists up to $2 sessions that ended in the last $1 ms, the newest first, whose access tokens may not have expired.
SELECT id FROM refresh_sessions
WHERE revoked_at > app_now() - $1::bigint * interval '1 millisecond'
ORDER BY revoked_at DESC
LIMIT $2;
