-- user_total_max: what a user has won over all rains, set if greater.
-- KEYS  1 total     ARGV  1 fen
-- Returns the total as stored now
local old = redis.call('GET', KEYS[1])
if not old or tonumber(ARGV[1]) > tonumber(old) then
    redis.call('SET', KEYS[1], ARGV[1])
    return ARGV[1]
end
return old
