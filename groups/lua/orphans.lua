-- Lists seats that were placed long ago and never confirmed, oldest first.
--
-- KEYS[1] meta hash
-- KEYS[2] seats hash
-- KEYS[3] pending zset
-- ARGV[1] token the caller believes in
-- ARGV[2] sim_offset_ms added to Redis' clock
-- ARGV[3] age_ms beyond which a seat counts as an orphan
-- ARGV[4] count of orphans to list at most
-- Returns msgpack {'cold'} or {'ok', {{order_id, request_id, group_id}, …}}
-- include: lane
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return cmsgpack.pack({'cold'}) end

local before = clock_ms(ARGV[2]) - tonumber(ARGV[3])
local orphans = {}
for _, order_id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', before, 'LIMIT', 0, tonumber(ARGV[4]))) do
  local seat = packed(KEYS[2], order_id)
  if seat then
    table.insert(orphans, {order_id, seat[5], seat[1]})
  else
    redis.call('ZREM', KEYS[3], order_id)
  end
end
return cmsgpack.pack({'ok', orphans})
