-- stats_max: totals of a rain, set if greater: two settlers may write in any order.
-- KEYS  1 counts (hash by code)  2 prices (hash by code)     ARGV  1 code  2 count  3 fen
-- Returns {count, fen} as stored now
for i = 1, 2 do
    local old = redis.call('HGET', KEYS[i], ARGV[1])
    if not old or tonumber(ARGV[i + 1]) > tonumber(old) then
        redis.call('HSET', KEYS[i], ARGV[1], ARGV[i + 1])
    end
end
return {redis.call('HGET', KEYS[1], ARGV[1]), redis.call('HGET', KEYS[2], ARGV[1])}
