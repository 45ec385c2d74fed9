-- pool_refill: the last step of a recovery. Puts what SQL says in place of what an older Redis, or nothing, left behind.
-- KEYS  1 list  2 state  3 users  4 outbox  5 fence  6 tmp list  7 tmp users      (one hash tag)
-- ARGV  1 new rid  2 rid the state says, or ''  3 n  4 floor: packets below it are granted  5 fen of them  6 state P, O or C
--       7 t0  8 t1  9 limit  10 room  11 users in 7  12 SHA-1 of the amounts joined by ','  13 code  14 shard
--       then outbox items: grants that are in no books yet, as pool_grab writes them
-- Returns 'applied'; 'done' (this recovery did it before); else nothing was done: 'run' (another run of Redis answers),
--   'lost' (another recovery began, or this Redis was wiped since this one began), 'moved' (the state says another rid),
--   'tmp' (a tmp key is not what was filled)
-- The fence key is used up: it is set when a recovery begins and removed here, so no recovery can apply twice, and none
-- over a shard that was wiped after it. An older outbox is of an older rid, which nobody settles any more.
local rid = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local s = redis.call('HMGET', KEYS[2], 'st', 'rid')
if s[2] == ARGV[1] then
    return 'done'
end
if string.sub(ARGV[1], 1, 32) ~= string.sub(rid, 1, 32) then
    return 'run'
end
if redis.call('GET', KEYS[5]) ~= ARGV[1] then
    return 'lost'
end
if (s[2] or '') ~= ARGV[2] then
    return 'moved'
end
local left, users = tonumber(ARGV[3]) - tonumber(ARGV[4]), tonumber(ARGV[11])
if redis.call('LLEN', KEYS[6]) ~= left or redis.call('HLEN', KEYS[7]) ~= users
    or redis.sha1hex(table.concat(redis.call('LRANGE', KEYS[6], 0, -1), ',')) ~= ARGV[12] then
    return 'tmp'
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSET', KEYS[2], 'st', s[1] == 'C' and 'C' or ARGV[6], 'rid', ARGV[1], 'n', ARGV[3], 'granted', ARGV[4],
    'fen', ARGV[5], 'limit', ARGV[9], 'room', ARGV[10], 'v', '1')
if ARGV[7] == '0' then
    redis.call('HDEL', KEYS[2], 't0', 't1')
else
    redis.call('HSET', KEYS[2], 't0', ARGV[7], 't1', ARGV[8])
end
if left > 0 then
    redis.call('HDEL', KEYS[2], 'sold_out_at')
elseif ARGV[3] ~= '0' then
    redis.call('HSETNX', KEYS[2], 'sold_out_at', now)
end
redis.call('UNLINK', KEYS[1], KEYS[3])
if left > 0 then
    redis.call('RENAME', KEYS[6], KEYS[1])
    redis.call('PERSIST', KEYS[1])
end
if users > 0 then
    redis.call('RENAME', KEYS[7], KEYS[3])
    redis.call('PERSIST', KEYS[3])
end
if redis.call('EXISTS', KEYS[4]) == 1 then
    redis.call('XTRIM', KEYS[4], 'MAXLEN', 0)
end
for i = 15, #ARGV do
    redis.call('XADD', KEYS[4], '*', 'code', ARGV[13], 'shard', ARGV[14], 'room', ARGV[10], 'rid', ARGV[1],
        'at', now, 'items', ARGV[i])
end
redis.call('UNLINK', KEYS[5])
return 'applied'
