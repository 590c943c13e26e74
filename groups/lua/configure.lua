-- Takes a change of the deal over into the lane as it stands, which spares a rebuild. Seats that are on their way to
-- Postgres stay, and are recorded under the new epoch. A change that takes something away must find no
-- pending order. A lane that transfers took units from is not changed, because a transfer may have been given
-- up since.
--
-- KEYS[1] meta hash
-- KEYS[2] pending zset
-- ARGV[1] token the caller believes in, of the epoch before the change
-- ARGV[2] epoch that the change made
-- ARGV[3] terms, msgpack {status, ends_ms, added_units}
-- Returns msgpack {'cold'}, {'configured'}, or {'unsafe'} when only a rebuild will do
-- include: lane
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return cmsgpack.pack({'cold'}) end

local terms = cmsgpack.unpack(ARGV[3])
local status, ends_ms, added_units = terms[1], terms[2], terms[3]
local fields = redis.call('HGETALL', KEYS[1])
local before = {}
for at = 1, #fields, 2 do
  if fields[at]:sub(1, 5) == 'took:' then return cmsgpack.pack({'unsafe'}) end
  before[fields[at]] = fields[at + 1]
end

local ended_ms = tonumber(before.ends_ms)
local ends_later = ends_ms == 0 or (ended_ms > 0 and ends_ms >= ended_ms)
local takes_away = not ends_later or (status ~= before.status and status ~= 'active')
if takes_away and redis.call('ZCARD', KEYS[2]) > 0 then return cmsgpack.pack({'unsafe'}) end

-- The field `epoch` stays: requests are remembered by the epoch of the rebuild that began with none of them.
redis.call('HSET', KEYS[1], 'token', ARGV[2] .. ':' .. ARGV[1]:match(':(.*)$'), 'status', status, 'ends_ms', ends_ms)
redis.call('HINCRBY', KEYS[1], 'units_left', added_units)
return cmsgpack.pack({'configured'})
