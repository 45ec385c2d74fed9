-- room_sanction: a user of a room is kicked or muted for some time; kept so that a worker that starts later knows.
-- KEYS  1 sanctions     ARGV  1 'kick:USER' or 'mute:USER'  2 seconds, 0: lifted  3 fields from which on the ended are dropped
-- Returns nothing
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local secs = tonumber(ARGV[2])
if secs == 0 then
    redis.call('HDEL', KEYS[1], ARGV[1])
    return
end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
        if tonumber(all[i + 1]) <= now then
            redis.call('HDEL', KEYS[1], all[i])
        end
    end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + secs * 1000))
redis.call('EXPIRE', KEYS[1], 86400)
