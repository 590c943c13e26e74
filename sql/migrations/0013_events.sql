-- What happened to orders and groups, told to the nouns that hear of it.
-- uses: clock, orders, events

-- Which noun hears which type of event. A noun's own migration adds its rows, so that it hears from that moment on.
CREATE TABLE listeners (
    type text NOT NULL,
    noun text NOT NULL,
    PRIMARY KEY (type, noun)
);
INSERT INTO listeners (noun, type) VALUES
    ('webhooks', 'group.opened'),
    ('webhooks', 'group.succeeded'),
    ('webhooks', 'group.failed'),
    ('webhooks', 'order.authorised'),
    ('webhooks', 'order.captured'),
    ('webhooks', 'order.cancelled'),
    ('webhooks', 'order.payment_failed'),
    ('webhooks', 'order.partially_refunded'),
    ('webhooks', 'order.refunded'),
    ('nudges', 'group.opened'),
    ('nudges', 'group.succeeded'),
    ('nudges', 'group.failed');

-- The outbox: an event that a noun has yet to hear, written in the transaction in which it happened and deleted in the
-- one that writes what the noun makes of it. Ids rise along the life of an order or a group. Details are read where they
-- are needed, so no address of a buyer is kept here. No foreign keys: the statements that write it are the hottest of
-- the product.
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    noun text NOT NULL,
    type text NOT NULL,
    object_id text NOT NULL,
    deal_id text NOT NULL,
    happened_at timestamptz NOT NULL,
    PRIMARY KEY (noun, id)
);

-- For each row: most batches of joins open no group, and then there is nothing to call.
CREATE TRIGGER group_told_opened
AFTER INSERT ON groups FOR EACH ROW EXECUTE FUNCTION group_told();

CREATE TRIGGER group_told_ended
AFTER UPDATE ON groups FOR EACH ROW
WHEN (OLD.status <> NEW.status AND NEW.status IN ('succeeded', 'failed'))
EXECUTE FUNCTION group_told();
