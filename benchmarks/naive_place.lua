-- Places one buyer into the open group of a deal, as a first version of a marketplace would.
-- KEYS: 1 members of the deal (set), 2 the deal's counts (hash)
-- ARGV: 1 buyer, 2 units in stock, 3 seats in a group
-- Returns: {group number, seat}, or {0, 0} when the buyer is in already or the deal is sold out
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then
    return {0, 0}
end
local sold = redis.call('HINCRBY', KEYS[2], 'sold', 1)
if sold > tonumber(ARGV[2]) then
    redis.call('HINCRBY', KEYS[2], 'sold', -1)
    return {0, 0}
end
redis.call('SADD', KEYS[1], ARGV[1])
local size = tonumber(ARGV[3])
return {math.floor((sold - 1) / size) + 1, (sold - 1) % size + 1}
