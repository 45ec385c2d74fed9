-- room_stats: the rains of a room as SQL had them, for STATS while one of them runs. The newest reading stays: two steps may
-- write in any order.
-- KEYS  1 stats (hash)     ARGV  1 when the reading began, by the database's clock  2 bytes  3 TTL in ms
local old = redis.call('HGET', KEYS[1], 'at')
if not old or tonumber(ARGV[1]) >= tonumber(old) then
    redis.call('HSET', KEYS[1], 'at', ARGV[1], 'rains', ARGV[2])
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
