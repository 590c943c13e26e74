-- Included by the scripts that move units between lanes. A lane remembers in its meta hash which transfers
-- took units out of it (`took:<transfer>`) or gave it some (`gave:<transfer>`), as `units@at_ms`. It
-- remembers them for longer than any step is repeated. A rebuilt lane remembers only what its stock shows
-- already.
local function transferred(field)
  local value = redis.call('HGET', KEYS[1], field)
  return value and tonumber(value:match('^(%d+)@'))
end

local function remember_transfer(field, units, kept_ms)
  local now = clock_ms(0)
  local fields = redis.call('HGETALL', KEYS[1])
  for at = 1, #fields, 2 do
    local at_ms = fields[at]:find('^[tg]%a+:') and fields[at + 1]:match('@(%d+)$')
    if at_ms and tonumber(at_ms) < now - kept_ms then redis.call('HDEL', KEYS[1], fields[at]) end
  end
  redis.call('HSET', KEYS[1], field, string.format('%d@%d', units, now))
end
