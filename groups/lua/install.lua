-- Replaces a lane by its rebuilt state, unless this Redis already holds a newer epoch of it.
--
-- KEYS[1] meta hash
-- KEYS[2] groups hash
-- KEYS[3] open zset
-- KEYS[4] seats hash
-- KEYS[5] freed zset
-- KEYS[6] buyers hash
-- KEYS[7] pending zset
-- KEYS[8] staged groups
-- KEYS[9] staged open
-- KEYS[10] staged seats
-- KEYS[11] staged freed
-- KEYS[12] staged buyers
-- KEYS[13] staged began: run id of the Redis in which the rebuild began to write, requests among it
-- ARGV[1] token of the rebuilt state, `epoch:run_id`
-- ARGV[2] fields and values of the meta hash, msgpack {field, value, …}
-- ARGV[3] sizes of what was staged, msgpack {groups, open, seats, freed, buyers}
-- Returns msgpack {'installed'}, {'newer', epoch that is there}, or {'incomplete'} when something staged got lost
local held = redis.call('HGET', KEYS[1], 'token')
if held then
  local held_epoch, held_run = held:match('^(%d+):(.*)$')
  local new_epoch, new_run = ARGV[1]:match('^(%d+):(.*)$')
  if held_run == new_run and tonumber(held_epoch) >= tonumber(new_epoch) then
    return cmsgpack.pack({'newer', tonumber(held_epoch)})
  end
end

-- Requests are not counted. A Redis that lost them was flushed, and the mark with them, or bears another run id.
if redis.call('GET', KEYS[13]) ~= ARGV[1]:match(':(.*)$') then return cmsgpack.pack({'incomplete'}) end
for index, size in ipairs(cmsgpack.unpack(ARGV[3])) do
  local staged_key = KEYS[7 + index]
  local count = redis.call('TYPE', staged_key).ok == 'zset' and 'ZCARD' or 'HLEN'
  if redis.call(count, staged_key) ~= size then return cmsgpack.pack({'incomplete'}) end
end

redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7])
for offset = 0, 4 do
  if redis.call('EXISTS', KEYS[8 + offset]) == 1 then
    redis.call('RENAME', KEYS[8 + offset], KEYS[2 + offset])
    redis.call('PERSIST', KEYS[2 + offset])
  end
end
redis.call('UNLINK', KEYS[13])
redis.call('HSET', KEYS[1], 'token', ARGV[1], unpack(cmsgpack.unpack(ARGV[2])))
return cmsgpack.pack({'installed'})
