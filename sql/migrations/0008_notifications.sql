-- Messages to people. Whom a message goes to and what it says is encrypted, and wiped once it was delivered.

CREATE TABLE notifications (
    id text PRIMARY KEY,
    kind text NOT NULL CONSTRAINT notification_kind_size CHECK (length(kind) BETWEEN 1 AND 40),
    channel text NOT NULL CONSTRAINT notification_channel CHECK (channel IN ('email', 'sms')),
    -- A keyed hash of the address, to find a person's messages by.
    recipient_digest bytea NOT NULL CONSTRAINT notification_recipient CHECK (octet_length(recipient_digest) = 32),
    sealed bytea,
    state text NOT NULL DEFAULT 'due'
        CONSTRAINT notification_state CHECK (state IN ('due', 'in_flight', 'sent', 'failed', 'expired')),
    attempts integer NOT NULL DEFAULT 0,
    -- When a worker may take the row; while in flight, when its lease runs out.
    due_at timestamptz NOT NULL DEFAULT app_now(),
    -- Not worth delivering any more.
    expires_at timestamptz NOT NULL,
    failure text,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    ended_at timestamptz,
    CONSTRAINT notification_ended CHECK ((state IN ('sent', 'failed', 'expired')) = (ended_at IS NOT NULL)),
    CONSTRAINT notification_readable CHECK (sealed IS NOT NULL OR ended_at IS NOT NULL)
);
CREATE INDEX notifications_due ON notifications (due_at) WHERE state IN ('due', 'in_flight');
CREATE INDEX notifications_of_recipient ON notifications (recipient_digest, created_at DESC);
CREATE INDEX notifications_ended ON notifications (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX notifications_unwiped ON notifications (ended_at) WHERE ended_at IS NOT NULL AND sealed IS NOT NULL;
CREATE INDEX notifications_newest ON notifications (created_at DESC, id DESC) WHERE sealed IS NOT NULL;
