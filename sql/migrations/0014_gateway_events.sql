-- What the payment gateway told us by webhook. An event decides nothing: it makes us look, it names the gateway's
-- payment of an order, and what happened there unasked is kept for a person to see.

CREATE TABLE gateway_events (
    gateway text NOT NULL,
    event_id text NOT NULL CONSTRAINT event_id_size CHECK (length(event_id) BETWEEN 1 AND 255),
    kind text NOT NULL,
    -- Our order, and the gateway's own name of its payment; null where the event is about neither.
    reference text,
    payment_ref text,
    -- Why nobody here expected it; null for what did follow from our own calls.
    surprise text,
    received_at timestamptz NOT NULL DEFAULT app_now(),
    PRIMARY KEY (gateway, event_id)
);
CREATE INDEX gateway_events_of_order ON gateway_events (reference) WHERE payment_ref IS NOT NULL;
CREATE INDEX gateway_events_forgettable ON gateway_events (received_at) WHERE surprise IS NULL;
CREATE INDEX gateway_surprises ON gateway_events (received_at) WHERE surprise IS NOT NULL;

-- Finds the order of a payment that an event names without our reference, as a refund made in a dashboard does. The
-- sandbox sends no events and its payments stay out of the index.
CREATE INDEX payment_operations_of_stripe ON payment_operations (gateway_ref)
WHERE kind = 'authorise' AND starts_with(gateway_ref, 'pi_');
