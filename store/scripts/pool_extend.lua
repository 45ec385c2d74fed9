-- pool_extend: t1 = max(t1, new) of an open shard.
-- KEYS  1 state     ARGV  1 t1 ms
-- Returns 'ok', 'none' (no state), 'closed' (P or C), 'rid' (sealed by another run of Redis), 'newer' (layout)
-- State before rid: what may not be extended is a conflict on every Redis.
local s = redis.call('HMGET', KEYS[1], 'st', 'rid', 't1', 'v')
if not s[1] then
    return 'none'
end
if (tonumber(s[4]) or 1) > 1 then
    return 'newer'
end
if s[1] ~= 'O' then
    return 'closed'
end
if string.sub(s[2], 1, 32) ~= string.match(redis.call('INFO', 'server'), 'run_id:(' .. string.rep('%x', 32) .. ')') then
    return 'rid'
end
if tonumber(ARGV[1]) > tonumber(s[3]) then
    redis.call('HSET', KEYS[1], 't1', ARGV[1])
end
return 'ok'
