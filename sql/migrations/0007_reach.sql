-- Invitations, which are personal links to a group, and nudges, which members of a group are told without asking.
-- uses: clock

-- A link stands for one inviter, one group and one recipient. Its recipient is forgotten some days after the group's
-- deadline; that somebody joined by it is remembered for as long as the order is.
CREATE TABLE invites (
    code text PRIMARY KEY CONSTRAINT invite_code_size CHECK (length(code) BETWEEN 10 AND 64),
    group_id text NOT NULL REFERENCES groups,
    inviter_id text NOT NULL,
    channel text NOT NULL CONSTRAINT invite_channel CHECK (channel IN ('email', 'sms', 'push')),
    -- A keyed hash of the address, and the address encrypted.
    recipient_digest bytea CONSTRAINT invite_recipient CHECK (octet_length(recipient_digest) = 32),
    sealed bytea,
    -- Null when nothing was sent, which the inviter is not told: the recipient wants none, or has had enough.
    notification_id text,
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app_now(),
    opened_at timestamptz,
    forget_at timestamptz NOT NULL,
    -- The inviter's order, while the invitation waits for its moment: until that seat is authorised, and through the
    -- recipient's night. It goes out if the seat is still one that pays, and is forgotten if it is not.
    awaits_order_id text,
    CONSTRAINT invite_known CHECK ((recipient_digest IS NULL) = (sealed IS NULL)),
    CONSTRAINT invite_once UNIQUE (group_id, inviter_id, recipient_digest)
);
CREATE INDEX invites_of_inviter ON invites (inviter_id);
CREATE INDEX invites_of_recipient ON invites (recipient_digest) WHERE recipient_digest IS NOT NULL;
CREATE INDEX invites_to_forget ON invites (forget_at) WHERE recipient_digest IS NOT NULL;
CREATE INDEX invites_waiting ON invites (due_at) WHERE awaits_order_id IS NOT NULL;

-- What a group's members have yet to be told. A row is gone once everybody was told, or nobody is to be: that, and
-- that rows are made at two moments of a group's life alone, is why nobody is told twice. No foreign key: groups
-- are opened by the hottest statement of the product.
CREATE TABLE nudges (
    group_id text NOT NULL,
    kind text NOT NULL CONSTRAINT nudge_kind CHECK (kind IN ('tier_near', 'hour_left', 'succeeded', 'failed')),
    due_at timestamptz NOT NULL,
    -- Members are told in the order of their ids, and this one was the last.
    after_buyer_id text NOT NULL DEFAULT '',
    PRIMARY KEY (group_id, kind)
) WITH (fillfactor = 80);
CREATE INDEX nudges_due ON nudges (due_at);
