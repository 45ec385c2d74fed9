-- pool_fence: begins a recovery. From here on the shard grants nothing, and only this recovery can bring it back.
-- KEYS  1 fence  2 state     ARGV  1 rid of the new life  2 seconds to keep the fence
-- Returns 'ok'; 'done' (this recovery ended before: nothing is done)
-- A '-' in the place of the rid's first digit makes it a rid of no Redis, and still tells which life it was.
local rid = redis.call('HGET', KEYS[2], 'rid')
if rid == ARGV[1] then
    return 'done'
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
if rid then
    redis.call('HSET', KEYS[2], 'rid', '-' .. string.sub(rid, 2))
end
return 'ok'
