-- pool_open: P -> O with the times SQL has committed. Never opens a closed shard: a stalled starter may come late.
-- KEYS  1 state     ARGV  1 t0 ms  2 t1 ms
-- Returns 'opened', 'noop' (O or C), 'none' (no state), 'rid' (sealed by another run of Redis), 'newer' (layout)
-- C before rid: closed is for ever, so a repeated start of a closed rain ends, whatever Redis does.
local s = redis.call('HMGET', KEYS[1], 'st', 'rid', 'v')
if not s[1] then
    return 'none'
end
if (tonumber(s[3]) or 1) > 1 then
    return 'newer'
end
if s[1] == 'C' then
    return 'noop'
end
if string.sub(s[2], 1, 32) ~= string.match(redis.call('INFO', 'server'), 'run_id:(' .. string.rep('%x', 32) .. ')') then
    return 'rid'
end
if s[1] ~= 'P' then
    return 'noop'
end
redis.call('HSET', KEYS[1], 'st', 'O', 't0', ARGV[1], 't1', ARGV[2])
return 'opened'
