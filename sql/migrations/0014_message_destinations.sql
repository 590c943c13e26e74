-- Where a message goes, as a keyed hash: the provider behind a mail domain, the country of a number. A provider that does
-- not answer for one of them leaves room for messages to others. Nothing stands where a channel has one destination.
ALTER TABLE notifications ADD COLUMN destination text NOT NULL DEFAULT '';
-- The index without it serves processes of the version before.
CREATE INDEX notifications_awaited_of_destination ON notifications (channel, destination, due_at)
    WHERE awaited AND state IN ('due', 'in_flight');
