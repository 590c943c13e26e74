-- Takes unsold units out of a lane for a transfer to another one; a repeated transfer takes no more.
--
-- KEYS[1] meta hash
-- ARGV[1] token the caller believes in
-- ARGV[2] id of the transfer
-- ARGV[3] units to take, at most
-- ARGV[4] kept_ms, for how long the lane remembers the transfer
-- Returns msgpack {'cold'} or {'ok', units that the transfer has taken}
-- include: lane
-- include: transfers
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return cmsgpack.pack({'cold'}) end

local field = 'took:' .. ARGV[2]
local units = transferred(field)
if not units then
  units = math.max(0, math.min(tonumber(ARGV[3]), tonumber(redis.call('HGET', KEYS[1], 'units_left'))))
  if units > 0 then redis.call('HINCRBY', KEYS[1], 'units_left', -units) end
  remember_transfer(field, units, tonumber(ARGV[4]))
end
return cmsgpack.pack({'ok', units})
