-- Included by every script of a lane: the token check and the packed records.
--
-- A group is {status, deadline_ms, capacity, taken, next_seat, freed, share_code, leader_order_id}. Its share code is
-- kept only until the group's row is known to be committed, and empty from then on.
-- A seat is {group_id, seat, buyer, quantity, request_id}; a solo order has no group ('') and seat 0.
-- A request is `epoch|order_id`, the epoch its seat was placed under; 0 when Postgres is known to have the order.
-- A buyer is {units, {order_id, …}}: live units in the deal, and the orders whose seats are still in memory.
-- Lua keeps at most some thousands of values on its stack.
local CONFIRMED_MAX = 1000
local STATUS, DEADLINE, CAPACITY, TAKEN, NEXT_SEAT, FREED, SHARE_CODE, LEADER = 1, 2, 3, 4, 5, 6, 7, 8

local function packed(key, field)
  local value = redis.call('HGET', key, field)
  if value then return cmsgpack.unpack(value) end
  return nil
end

local function pack_into(key, field, record)
  redis.call('HSET', key, field, cmsgpack.pack(record))
end

local function clock_ms(sim_offset_ms)
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(sim_offset_ms)
end

-- The place of a group among the groups one can join: fullest first, and absent when nobody fits in.
local function rank_group(open_key, group_id, group)
  if group[STATUS] == 'open' and group[TAKEN] < group[CAPACITY] then
    redis.call('ZADD', open_key, group[TAKEN], group_id)
  else
    redis.call('ZREM', open_key, group_id)
  end
end

-- Takes what Postgres committed off the watch list: {{order_id, …}, {{group_id, deadline_ms}, …}}.
local function confirm(groups_key, pending_key, confirmations)
  local order_ids = confirmations[1]
  for first = 1, #order_ids, CONFIRMED_MAX do
    redis.call('ZREM', pending_key, unpack(order_ids, first, math.min(first + CONFIRMED_MAX - 1, #order_ids)))
  end
  for _, known in ipairs(confirmations[2]) do
    local group = packed(groups_key, known[1])
    if group then
      group[SHARE_CODE] = ''
      group[DEADLINE] = known[2]
      pack_into(groups_key, known[1], group)
    end
  end
end
