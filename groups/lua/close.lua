-- Stops joins into groups that Postgres has closed, remembering whether they closed because they were full.
--
-- KEYS[1] meta hash
-- KEYS[2] groups hash
-- KEYS[3] open zset
-- ARGV[1] token the caller believes in
-- ARGV[2] closed groups, msgpack {{group_id, 'full' | 'closed'}, …}
-- Returns msgpack {'cold'} or {'ok', count of groups that were known}
-- include: lane
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return cmsgpack.pack({'cold'}) end

local known = 0
for _, closed in ipairs(cmsgpack.unpack(ARGV[2])) do
  local group = packed(KEYS[2], closed[1])
  if group then
    known = known + 1
    group[STATUS] = closed[2]
    pack_into(KEYS[2], closed[1], group)
    rank_group(KEYS[3], closed[1], group)
  end
end
return cmsgpack.pack({'ok', known})
