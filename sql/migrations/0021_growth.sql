-- Indexes for what would otherwise read all members of a group, or all orders there are.

-- The members whose payment is still to come or to be settled: counted by status while a group runs, asked for the
-- lowest promise when one of them leaves, and looked through for open captures while a group settles.
CREATE INDEX orders_pending_of_group ON orders (group_id, status, promised_unit_minor)
    WHERE status IN ('held', 'authorised');

-- Who came by an invitation; most orders came without one.
CREATE INDEX orders_by_invite ON orders (invite_code) WHERE invite_code IS NOT NULL;
