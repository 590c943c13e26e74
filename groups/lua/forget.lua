-- Takes a buyer who is being forgotten out of a lane's memory. Units whose orders are kept under an alias are the alias'
-- from now on, so that limits still add up to what was sold. Units that are seated here, or stay the buyer's for another
-- reason, stay; they are told of again when their orders get the alias.
--
-- Unlike other scripts it changes a state of any token: the name belongs in none, and doing it twice
-- changes nothing. The answer tells whether the state is the one that lasts.
--
-- KEYS[1] meta hash
-- KEYS[2] seats hash
-- KEYS[3] buyers hash
-- KEYS[4] rates hash
-- KEYS[5] earlier hash
-- ARGV[1] token the caller believes in
-- ARGV[2] buyer
-- ARGV[3] alias
-- ARGV[4] units the buyer keeps in Postgres without a seat here, because their order is paid for and not over yet
-- Returns msgpack {'cold'} or {'ok', units that are the alias' now}
-- include: lane
local name, alias = ARGV[2], ARGV[3]
redis.call('HDEL', KEYS[4], name)
redis.call('HDEL', KEYS[5], name)

local moved = 0
local buyer = packed(KEYS[3], name)
if buyer then
  local seated, kept = 0, {}
  for _, order_id in ipairs(buyer[2]) do
    local seat = packed(KEYS[2], order_id)
    if seat then
      seated = seated + seat[4]
      table.insert(kept, order_id)
    end
  end
  local stays = math.min(buyer[1], seated + tonumber(ARGV[4]))
  moved = buyer[1] - stays
  if stays == 0 and #kept == 0 then
    redis.call('HDEL', KEYS[3], name)
  else
    pack_into(KEYS[3], name, {stays, kept})
  end
  if moved > 0 then
    local known = packed(KEYS[3], alias) or {0, {}}
    known[1] = known[1] + moved
    pack_into(KEYS[3], alias, known)
  end
end

if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return cmsgpack.pack({'cold'}) end
return cmsgpack.pack({'ok', moved})
