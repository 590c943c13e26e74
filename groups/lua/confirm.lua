-- Takes committed orders off the watch list and gives committed groups the deadline Postgres gave them.
--
-- KEYS[1] meta hash
-- KEYS[2] groups hash
-- KEYS[3] pending zset
-- ARGV[1] token the caller believes in
-- ARGV[2] confirmations, msgpack {{order_id, …}, {{group_id, deadline_ms}, …}}
-- Returns msgpack {'cold'} or {'ok'}
-- include: lane
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return cmsgpack.pack({'cold'}) end
confirm(KEYS[2], KEYS[3], cmsgpack.unpack(ARGV[2]))
return cmsgpack.pack({'ok'})
