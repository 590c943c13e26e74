-- Places a batch of buyers into one lane, each into a named group, the fullest open one, a new one, or none (solo). A buyer
-- comes at most once in a batch, so that all is read before the first is placed and written after the last.
--
-- KEYS[1] meta hash: the lane's token, deal terms and units left
-- KEYS[2] groups hash: group id -> group
-- KEYS[3] open zset: joinable group ids by taken seats
-- KEYS[4] seats hash: order id -> seat
-- KEYS[5] freed zset: `group:seat` of seats given back, in lexical order
-- KEYS[6] buyers hash: buyer -> units and orders
-- KEYS[7] pending zset: orders not yet known to be committed, by the time they were placed
-- KEYS[8] rates hash: buyer -> arrival time that limits their rate
-- KEYS[9] earlier hash: the rates of the time before, when nobody's arrival time lay further ahead
-- KEYS[10...] for each item its request key
-- ARGV[1] token the caller believes in
-- ARGV[2] sim_offset_ms added to Redis' clock
-- ARGV[3] confirmations, msgpack (lane.lua)
-- ARGV[4] limits, msgpack {request_ttl_ms, rates_on, buyer_interval_ms, buyer_burst, deal_interval_ms, deal_burst,
--   lane_ttl_ms}
-- ARGV[5] items, msgpack {{verb, group_id, order_id, request_id, buyer, quantity, new_group_id, share_code}, …}
-- Returns msgpack {'cold'} or {'ok', {result, …}}, a result for each item:
--   {'placed' | 'replayed', order_id, group_id, seat, share_code, leader_order_id, seats taken in the group},
--   {'remembered', order_id}, {'already_joined', order_id}, {'rate_limited', retry_after_ms}, or {code}
-- include: lane
local VERB, GROUP, ORDER, REQUEST, BUYER, QUANTITY, NEW_GROUP, NEW_SHARE_CODE = 1, 2, 3, 4, 5, 6, 7, 8
local EXPIRED_GROUPS_MAX = 64

local meta = redis.call('HMGET', KEYS[1], 'token', 'epoch', 'status', 'starts_ms', 'ends_ms', 'units_left',
  'per_buyer_units', 'capacity', 'group_ttl_ms', 'deal_tat_ms', 'rates_since_ms')
if meta[1] ~= ARGV[1] then return cmsgpack.pack({'cold'}) end

local epoch, status = meta[2], meta[3]
local now = clock_ms(ARGV[2])
local units_left, per_buyer_units = tonumber(meta[6]), tonumber(meta[7])
local capacity, group_ttl_ms = tonumber(meta[8]), tonumber(meta[9])
local starts_ms, ends_ms = tonumber(meta[4]), tonumber(meta[5])
local running = status ~= 'paused' and now >= starts_ms
local ended = status == 'ended' or (ends_ms > 0 and now >= ends_ms)
local limits = cmsgpack.unpack(ARGV[4])
local request_ttl_ms, rates_on = limits[1], limits[2]
local buyer_interval_ms, buyer_burst = limits[3], limits[4]
local deal_interval_ms, deal_burst = limits[5], limits[6]
local deal_tat_ms, rates_since_ms = tonumber(meta[10]) or 0, tonumber(meta[11]) or now

confirm(KEYS[2], KEYS[7], cmsgpack.unpack(ARGV[3]))

local items = cmsgpack.unpack(ARGV[5])
local names = {}
for index, item in ipairs(items) do names[index] = item[BUYER] end
local requests = redis.call('MGET', unpack(KEYS, 10, 9 + #items))
local buyers = redis.call('HMGET', KEYS[6], unpack(names))

-- An arrival time lies at most a burst ahead of the moment it was written. After twice that time the older
-- hash no longer limits anybody, and the newer one takes its place.
local rates, earlier = {}, {}
if rates_on then
  if now - rates_since_ms > 2 * buyer_interval_ms * buyer_burst then
    redis.call('UNLINK', KEYS[9])
    if redis.call('EXISTS', KEYS[8]) == 1 then redis.call('RENAME', KEYS[8], KEYS[9]) end
    rates_since_ms = now
  end
  rates = redis.call('HMGET', KEYS[8], unpack(names))
  earlier = redis.call('HMGET', KEYS[9], unpack(names))
end

local groups = {}
local function group_of(group_id)
  if groups[group_id] == nil then groups[group_id] = packed(KEYS[2], group_id) or false end
  return groups[group_id]
end

-- The groups this batch changed, and those of them whose rank is not written yet.
local changed, unranked = {}, {}
local function rank_groups()
  for group_id in pairs(unranked) do rank_group(KEYS[3], group_id, groups[group_id]) end
  unranked = {}
end

-- Fields and values, or scores and members, written in one command when every item is placed.
local new_seats, new_buyers, new_pending, new_rates = {}, {}, {}, {}
local function append(flat, first, second)
  flat[#flat + 1] = first
  flat[#flat + 1] = second
end

-- Generic cell rate algorithm: one theoretical arrival time in place of a bucket of tokens. Returns the new time, or
-- nil and how long to wait.
local function arrival(tat_ms, interval_ms, burst)
  local next_ms = math.max(tat_ms, now) + interval_ms
  local early_ms = next_ms - now - burst * interval_ms
  if early_ms > 0 then return nil, early_ms end
  return next_ms
end

local function throttled(index, buyer_id)
  if not rates_on then return nil end
  local buyer_tat_ms = tonumber(rates[index] or earlier[index]) or 0
  local buyer_ms, wait_ms = arrival(buyer_tat_ms, buyer_interval_ms, buyer_burst)
  if not buyer_ms then return wait_ms end
  local deal_ms
  deal_ms, wait_ms = arrival(deal_tat_ms, deal_interval_ms, deal_burst)
  if not deal_ms then return wait_ms end
  deal_tat_ms = deal_ms
  append(new_rates, buyer_id, buyer_ms)
  return nil
end

local function remembered(request)
  if not request then return nil end
  local at_epoch, order_id = request:match('^(%d+)|(.+)$')
  if at_epoch ~= epoch and at_epoch ~= '0' then return nil end
  local seat = packed(KEYS[4], order_id)
  if not seat then return {'remembered', order_id} end
  local group = seat[1] ~= '' and group_of(seat[1])
  if not group then return {'replayed', order_id, seat[1], seat[2], '', '', 0} end
  return {'replayed', order_id, seat[1], seat[2], group[SHARE_CODE], group[LEADER], group[TAKEN]}
end

local function joinable(group)
  return group and group[STATUS] == 'open' and now < group[DEADLINE] and group[TAKEN] < group[CAPACITY]
end

local best_id
local function best_group()
  if best_id and joinable(group_of(best_id)) then return best_id end
  rank_groups()
  for _ = 1, EXPIRED_GROUPS_MAX do
    best_id = redis.call('ZREVRANGE', KEYS[3], 0, 0)[1]
    if not best_id or joinable(group_of(best_id)) then return best_id end
    redis.call('ZREM', KEYS[3], best_id)
  end
  best_id = nil
  return nil
end

local function seat_in(group_id, group)
  if group[FREED] > 0 then
    local first = redis.call('ZRANGEBYLEX', KEYS[5], '[' .. group_id .. ':', '(' .. group_id .. ';', 'LIMIT', 0, 1)[1]
    if first then
      redis.call('ZREM', KEYS[5], first)
      group[FREED] = group[FREED] - 1
      return tonumber(first:sub(#group_id + 2))
    end
    group[FREED] = 0
  end
  local seat = group[NEXT_SEAT]
  group[NEXT_SEAT] = seat + 1
  return seat
end

-- The live order that keeps this buyer out: in the named group, or for auto-placement in any open group.
local function standing_order(buyer, group_id)
  for _, order_id in ipairs(buyer[2]) do
    local seat = packed(KEYS[4], order_id)
    if seat and seat[1] ~= '' then
      if group_id == seat[1] then return order_id end
      local group = not group_id and group_of(seat[1])
      if group and group[STATUS] == 'open' and now < group[DEADLINE] then return order_id end
    end
  end
  return nil
end

local function take(item, buyer, group_id, request_key)
  local order_id, quantity = item[ORDER], item[QUANTITY]
  local seat, share_code, leader, taken = 0, '', '', 0
  if group_id ~= '' then
    local group = group_of(group_id)
    seat = seat_in(group_id, group)
    taken = group[TAKEN] + 1
    group[TAKEN] = taken
    changed[group_id], unranked[group_id] = true, true
    share_code, leader = group[SHARE_CODE], group[LEADER]
  end
  units_left = units_left - quantity
  buyer[1] = buyer[1] + quantity
  table.insert(buyer[2], order_id)
  append(new_buyers, item[BUYER], cmsgpack.pack(buyer))
  append(new_seats, order_id, cmsgpack.pack({group_id, seat, item[BUYER], quantity, item[REQUEST]}))
  append(new_pending, now, order_id)
  redis.call('SET', request_key, epoch .. '|' .. order_id, 'PX', request_ttl_ms)
  return {'placed', order_id, group_id, seat, share_code, leader, taken}
end

local function open_group(item)
  local deadline_ms = now + group_ttl_ms
  if ends_ms > 0 then deadline_ms = math.min(deadline_ms, ends_ms) end
  groups[item[NEW_GROUP]] = {'open', deadline_ms, capacity, 0, 1, 0, item[NEW_SHARE_CODE], item[ORDER]}
  return item[NEW_GROUP]
end

local function refusal_of_group(group)
  if not group then return 'unknown_group' end
  if group[STATUS] == 'full' then return 'group_full' end
  if group[STATUS] ~= 'open' or now >= group[DEADLINE] then return 'group_closed' end
  return nil
end

local function place(index, item, request_key)
  local known = remembered(requests[index])
  if known then return known end
  local wait_ms = throttled(index, item[BUYER])
  if wait_ms then return {'rate_limited', math.ceil(wait_ms)} end
  if not running then return {'deal_not_active'} end

  local verb, named = item[VERB], item[VERB] == 'group' and item[GROUP]
  if ended and (verb == 'open' or verb == 'solo') then return {'deal_not_active'} end
  local buyer = buyers[index] and cmsgpack.unpack(buyers[index]) or {0, {}}
  if verb == 'group' or verb == 'best' then
    local order_id = standing_order(buyer, named)
    if order_id then return {'already_joined', order_id} end
  end
  local closed = named and refusal_of_group(group_of(named))
  if closed then return {closed} end
  if buyer[1] + item[QUANTITY] > per_buyer_units then return {'limit_reached'} end
  if named and not joinable(group_of(named)) then return {'group_full'} end
  if item[QUANTITY] > units_left then return {'sold_out'} end

  if verb == 'solo' then return take(item, buyer, '', request_key) end
  local group_id = named or (verb == 'best' and best_group())
  if not group_id then
    if ended then return {'deal_not_active'} end
    group_id = open_group(item)
    best_id = group_id
  end
  return take(item, buyer, group_id, request_key)
end

local results = {}
for index, item in ipairs(items) do
  results[index] = place(index, item, KEYS[9 + index])
end

rank_groups()
local new_groups = {}
for group_id in pairs(changed) do append(new_groups, group_id, cmsgpack.pack(groups[group_id])) end
if #new_groups > 0 then redis.call('HSET', KEYS[2], unpack(new_groups)) end
if #new_seats > 0 then
  redis.call('HSET', KEYS[4], unpack(new_seats))
  redis.call('HSET', KEYS[6], unpack(new_buyers))
  redis.call('ZADD', KEYS[7], unpack(new_pending))
end
if #new_rates > 0 then redis.call('HSET', KEYS[8], unpack(new_rates)) end
-- All keys of a lane go at one moment when nobody joins for long; the next join then finds it cold.
for index = 1, 9 do redis.call('PEXPIRE', KEYS[index], limits[7]) end
redis.call('HSET', KEYS[1], 'units_left', units_left, 'deal_tat_ms', deal_tat_ms,
  'rates_since_ms', rates_since_ms)
return cmsgpack.pack({'ok', results})
