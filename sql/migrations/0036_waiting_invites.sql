-- Invitations that wait for their moment: until the inviter's seat is authorised, and through a recipient's night. They
-- go out if the seat is still one that pays, and are forgotten if it is not.
ALTER TABLE invites ADD COLUMN awaits_order_id text;
CREATE INDEX invites_waiting ON invites (due_at) WHERE awaits_order_id IS NOT NULL;
