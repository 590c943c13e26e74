-- Takes orders out of a lane's memory: `free` gives back seat and units, `abandon` forgets the request as well (it was
-- never recorded), `retire` gives nothing back (it was paid for). An order that is not there, or whose seat
-- was placed by another request, is left alone. A late or repeated release therefore changes nothing. A
-- request that is now remembered by another order is left alone as well.
--
-- KEYS[1] meta hash
-- KEYS[2] groups hash
-- KEYS[3] open zset
-- KEYS[4] seats hash
-- KEYS[5] freed zset
-- KEYS[6] buyers hash
-- KEYS[7] pending zset
-- KEYS[8...] for each item its request key
-- ARGV[1] token the caller believes in
-- ARGV[2] items, msgpack {{mode, order_id, request_id}, …}
-- Returns msgpack {'cold'} or {'ok', {'left' | 'absent' | 'mismatch', …}}
-- include: lane
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return cmsgpack.pack({'cold'}) end

local function give_back_seat(mode, group_id, seat_no)
  local group = packed(KEYS[2], group_id)
  if not group then return end
  group[TAKEN] = group[TAKEN] - 1
  -- An order that was recorded has its group recorded.
  if mode == 'free' then group[SHARE_CODE] = '' end
  if group[SHARE_CODE] ~= '' and group[TAKEN] == 0 then
    -- Nobody ever recorded this group, so nobody can ever join it by its link.
    redis.call('HDEL', KEYS[2], group_id)
    redis.call('ZREM', KEYS[3], group_id)
    for freed_no = 1, group[NEXT_SEAT] - 1 do
      redis.call('ZREM', KEYS[5], group_id .. ':' .. string.format('%06d', freed_no))
    end
    return
  end
  group[FREED] = group[FREED] + 1
  redis.call('ZADD', KEYS[5], 0, group_id .. ':' .. string.format('%06d', seat_no))
  pack_into(KEYS[2], group_id, group)
  rank_group(KEYS[3], group_id, group)
end

local function forget_order(buyer_id, order_id, units)
  local buyer = packed(KEYS[6], buyer_id)
  if not buyer then return end
  buyer[1] = buyer[1] - units
  local kept = {}
  for _, known in ipairs(buyer[2]) do
    if known ~= order_id then table.insert(kept, known) end
  end
  buyer[2] = kept
  if buyer[1] <= 0 and #kept == 0 then
    redis.call('HDEL', KEYS[6], buyer_id)
  else
    pack_into(KEYS[6], buyer_id, buyer)
  end
end

local function leave(mode, order_id, request_id, request_key)
  local seat = packed(KEYS[4], order_id)
  if not seat then return 'absent' end
  if seat[5] ~= request_id then return 'mismatch' end
  redis.call('HDEL', KEYS[4], order_id)
  redis.call('ZREM', KEYS[7], order_id)
  if mode == 'retire' then
    forget_order(seat[3], order_id, 0)
    return 'left'
  end
  if seat[1] ~= '' then give_back_seat(mode, seat[1], seat[2]) end
  forget_order(seat[3], order_id, seat[4])
  redis.call('HINCRBY', KEYS[1], 'units_left', seat[4])
  if mode == 'abandon' then
    local request = redis.call('GET', request_key)
    if request and request:match('|(.+)$') == order_id then redis.call('DEL', request_key) end
  end
  return 'left'
end

local outcomes = {}
for index, item in ipairs(cmsgpack.unpack(ARGV[2])) do
  outcomes[index] = leave(item[1], item[2], item[3], KEYS[7 + index])
end
return cmsgpack.pack({'ok', outcomes})
