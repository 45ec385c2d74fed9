-- room_push: PushToRoom. Numbers, logs and publishes one message; all or nothing.
-- KEYS  1 meta  2 log  3 live  4 done
-- ARGV  1 channel  2 new epoch (16 hex)  3 biz code  4 payload  5 keep code or ''  6 final (0 or 1)
--       7 cap of the log  8 ended rains to keep  9 TTL of a silent room's keys, seconds
--       10 1: sharded pub/sub, where the server has it (a cluster; the channel is in the keys' slot)
-- Returns {epoch, seq}
-- The epoch changes when the room is new, and when another run of Redis answers: it may have lost the last messages,
-- and their numbers must not be given out twice. A log of another epoch is dropped, the rains' states stay.
local rid = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'rid')
local epoch = meta[1]
if not epoch or meta[2] ~= rid then
    epoch = ARGV[2]
    redis.call('HSET', KEYS[1], 'epoch', epoch, 'rid', rid, 'seq', '0')
    redis.call('UNLINK', KEYS[2])
end
local seq = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'seq', 1))
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[7], seq .. '-0', 'b', ARGV[3], 'p', ARGV[4])
local code = ARGV[5]
if code ~= '' then
    redis.call('HSET', KEYS[3], code, ARGV[3] .. '|' .. ARGV[4])
    if ARGV[6] == '1' then
        redis.call('LREM', KEYS[4], 0, code)
        redis.call('RPUSH', KEYS[4], code)
        while redis.call('LLEN', KEYS[4]) > tonumber(ARGV[8]) do
            redis.call('HDEL', KEYS[3], redis.call('LPOP', KEYS[4]))
        end
    end
end
for i = 1, 4 do
    redis.call('EXPIRE', KEYS[i], ARGV[9])
end
local message = epoch .. '|' .. seq .. '|' .. ARGV[3] .. '|' .. ARGV[4]
if ARGV[10] ~= '1' or type(redis.pcall('SPUBLISH', ARGV[1], message)) ~= 'number' then
    redis.call('PUBLISH', ARGV[1], message)
end
return {epoch, seq}
