-- room_load: position of a room, the states of its rains, who is kicked or muted there, and the log after a position, seen at
-- one instant.
-- KEYS  1 meta  2 log  3 live  4 sanctions     ARGV  1 epoch (16 hex, zeros: none)  2 seq  3 seq + 1  4 tail
-- Returns {epoch, seq, complete, {seq, biz code, payload, …}, {code, 'biz code|payload', …}, {'kick:USER', until ms, …}}
-- complete: the log holds every message after seq; ids are the numbers, so counting them proves it. If not (also: no position
-- was asked for), the log's last messages, at most tail of them: clients that come with a position of their own want them.
local function read(after)
    local log = {}
    for _, entry in ipairs(redis.call('XRANGE', KEYS[2], string.format('%.0f-0', after + 1), '+')) do
        log[#log + 1] = string.match(entry[1], '^%d+')
        log[#log + 1] = entry[2][2]
        log[#log + 1] = entry[2][4]
    end
    return log
end
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'seq')
local epoch, last = meta[1] or '0000000000000000', tonumber(meta[2]) or 0
local after = tonumber(ARGV[2])
local complete, log = 0, {}
if epoch == ARGV[1] and after <= last then
    if after < last then
        log = read(after)
    end
    if #log / 3 == last - after then
        complete = 1
    end
end
if complete == 0 and meta[1] then
    log = read(math.max(0, last - (tonumber(ARGV[4]) or 0)))
end
return {epoch, string.format('%.0f', last), complete, log, redis.call('HGETALL', KEYS[3]),
    redis.call('HGETALL', KEYS[4])}
