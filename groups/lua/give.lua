-- Gives a lane the units of a transfer that Postgres has moved; a repeated transfer gives no more.
--
-- KEYS[1] meta hash
-- ARGV[1] token the caller believes in
-- ARGV[2] id of the transfer
-- ARGV[3] units of the transfer
-- ARGV[4] kept_ms, for how long the lane remembers the transfer
-- Returns msgpack {'cold'} or {'ok', units the lane has left}
-- include: lane
-- include: transfers
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return cmsgpack.pack({'cold'}) end

local field, units = 'gave:' .. ARGV[2], tonumber(ARGV[3])
if not transferred(field) then
  redis.call('HINCRBY', KEYS[1], 'units_left', units)
  remember_transfer(field, units, tonumber(ARGV[4]))
end
return cmsgpack.pack({'ok', tonumber(redis.call('HGET', KEYS[1], 'units_left'))})
