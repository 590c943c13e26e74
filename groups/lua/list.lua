-- Lists groups with room, fullest first and then by falling id, from behind a place in that order. A binary
-- search finds the place, and at most so many groups are looked at, however many are open.
--
-- KEYS[1] meta hash
-- KEYS[2] groups hash
-- KEYS[3] open zset
-- ARGV[1] token the caller believes in
-- ARGV[2] sim_offset_ms added to Redis' clock
-- ARGV[3] taken seats of the group to begin behind
-- ARGV[4] id of the group to begin behind
-- ARGV[5] count of joinable groups to look for
-- ARGV[6] count of groups to look at, at most
-- Returns msgpack {'cold'} or {'ok', {{taken, group_id, joinable}, …}} with every group that was looked at
-- include: lane
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return cmsgpack.pack({'cold'}) end

local now = clock_ms(ARGV[2])
local after_taken, after_id = tonumber(ARGV[3]), ARGV[4]
local wanted, looks_max = tonumber(ARGV[5]), tonumber(ARGV[6])

-- As Redis orders members; Lua's own comparison follows the locale.
local function precedes(one, other)
  for at = 1, math.min(#one, #other) do
    local left, right = one:byte(at), other:byte(at)
    if left ~= right then return left < right end
  end
  return #one < #other
end

local first, past = 0, redis.call('ZCARD', KEYS[3])
while first < past do
  local middle = math.floor((first + past) / 2)
  local found = redis.call('ZREVRANGE', KEYS[3], middle, middle, 'WITHSCORES')
  local taken = tonumber(found[2])
  if taken < after_taken or (taken == after_taken and precedes(found[1], after_id)) then
    past = middle
  else
    first = middle + 1
  end
end

local looked, joinable_count = {}, 0
local ranked = redis.call('ZREVRANGE', KEYS[3], first, first + looks_max - 1, 'WITHSCORES')
for at = 1, #ranked, 2 do
  if joinable_count == wanted then break end
  local group = packed(KEYS[2], ranked[at])
  local joinable = group and group[STATUS] == 'open' and now < group[DEADLINE] and group[TAKEN] < group[CAPACITY] or false
  if joinable then joinable_count = joinable_count + 1 end
  looked[#looked + 1] = {tonumber(ranked[at + 1]), ranked[at], joinable}
end
return cmsgpack.pack({'ok', looked})
