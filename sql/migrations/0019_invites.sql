-- Invitations: personal links to a group, and who does not want any more of them.

-- A link stands for one inviter, one group and one recipient. Whom it went to is forgotten some days after the
-- group's deadline; that somebody joined by it is remembered for as long as the order is.
CREATE TABLE invites (
    code text PRIMARY KEY CONSTRAINT invite_code_size CHECK (length(code) BETWEEN 10 AND 64),
    group_id text NOT NULL REFERENCES groups,
    inviter_id text NOT NULL,
    channel text NOT NULL CONSTRAINT invite_channel CHECK (channel IN ('email', 'sms')),
    -- A keyed hash of the address, and the address encrypted.
    recipient_digest bytea CONSTRAINT invite_recipient CHECK (octet_length(recipient_digest) = 32),
    sealed bytea,
    -- Null when nothing was sent, which the inviter is not told: the recipient wants none, or has had enough.
    notification_id text,
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    opened_at timestamptz,
    forget_at timestamptz NOT NULL,
    CONSTRAINT invite_known CHECK ((recipient_digest IS NULL) = (sealed IS NULL)),
    CONSTRAINT invite_once UNIQUE (group_id, inviter_id, recipient_digest)
);
CREATE INDEX invites_of_inviter ON invites (inviter_id);
CREATE INDEX invites_of_recipient ON invites (recipient_digest) WHERE recipient_digest IS NOT NULL;
CREATE INDEX invites_to_forget ON invites (forget_at) WHERE recipient_digest IS NOT NULL;

-- Who wants no invitations any more. The address is kept encrypted, so that its hash can be made again when the
-- deployment's secret changes: nobody should have to say it twice.
CREATE TABLE unsubscribes (
    recipient_digest bytea PRIMARY KEY CONSTRAINT unsubscribe_recipient CHECK (octet_length(recipient_digest) = 32),
    kid text NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now()
);
CREATE INDEX unsubscribes_by_key ON unsubscribes (kid);
