-- An operation that was given up without an answer, or a void that was refused, waits for a person. Nothing else
-- follows from it: order and ledger stay as they are until it is known what happened at the gateway.

ALTER TABLE payment_operations
    ADD COLUMN escalated_at timestamptz,
    ADD CONSTRAINT operation_escalated CHECK (escalated_at IS NULL OR state IN ('failed', 'declined'));
UPDATE payment_operations SET escalated_at = ended_at WHERE state = 'failed' AND failure NOT LIKE 'order was %';
CREATE INDEX payment_operations_escalated ON payment_operations (escalated_at) WHERE escalated_at IS NOT NULL;
