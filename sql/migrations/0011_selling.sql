-- What merchants see of their sales: an opaque name for each buyer, and indexes for their lists.

-- Merchants know a buyer by a keyed hash that only means something to them. The key is random and kept here,
-- so that the reference outlives every rotation of the deployment's secret.
ALTER TABLE merchants ADD COLUMN buyer_reference_key bytea NOT NULL
    DEFAULT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
    CONSTRAINT merchant_reference_key_size CHECK (octet_length(buyer_reference_key) = 32);

-- A join inserts a held order, and must not pay for what a merchant looks up: held orders, which last a minute,
-- are found by `orders_unpaid`.
CREATE INDEX orders_of_deal_by_status ON orders (deal_id, status, created_at DESC, id DESC) WHERE status <> 'held';

-- Beside `order_seat_once`, which holds the live orders of a group, the ended ones.
CREATE INDEX orders_ended_of_group ON orders (group_id)
    WHERE status IN ('declined', 'expired', 'cancelled', 'released', 'payment_failed');

CREATE INDEX groups_of_deal_by_status ON groups (deal_id, status, opened_at DESC, id DESC);
