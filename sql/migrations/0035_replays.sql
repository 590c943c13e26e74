-- When a delivery was made due anew with others of its time, so that asking again at once does not send it again.
ALTER TABLE webhook_deliveries ADD COLUMN replayed_at timestamptz;
