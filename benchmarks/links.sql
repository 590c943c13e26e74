-- What *links* asks the database about what it has made there.

-- name: open_group_ids
-- Answers the ids of all open groups.
SELECT id FROM groups WHERE status = 'open' ORDER BY id;

-- name: active_deal_ids
-- Answers the ids of all deals on sale.
SELECT id FROM deals WHERE status = 'active' ORDER BY id;
