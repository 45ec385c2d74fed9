-- room_delivery: what became of the frames meant for a room's members, on all workers. What a silent worker had queued is lost.
-- KEYS  1 delivery (as in room_count)  2 grabs     ARGV  1 fresh ms
-- Returns {expected, sent, dropped, closed, queued, lost, grabs, failed}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local sum = {0, 0, 0, 0, 0, 0, 0, 0}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
    local e, s, d, c, q, at = string.match(all[i + 1], '^(%d+),(%d+),(%d+),(%d+),(%d+)@(%d+)$')
    if at then
        local waits = now - tonumber(at) < tonumber(ARGV[1]) and 5 or 6
        sum = {sum[1] + e, sum[2] + s, sum[3] + d, sum[4] + c, sum[5], sum[6], 0, 0}
        sum[waits] = sum[waits] + q
    end
end
all = redis.call('HGETALL', KEYS[2])
for i = 2, #all, 2 do
    local g, f = string.match(all[i], '^(%d+),(%d+)@%d+$')
    sum[7], sum[8] = sum[7] + (g or 0), sum[8] + (f or 0)
end
return sum
