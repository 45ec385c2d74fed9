-- room_count: writes one worker's members, or only asks, and sums the fields that are fresh.
-- KEYS  1 count (worker -> 'members@ms')     ARGV  1 worker or ''  2 members  3 fresh ms  4 forget ms
-- Returns the members of all workers
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local sum, old = 0, {}
if ARGV[1] ~= '' then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '@' .. string.format('%.0f', now))
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
    local members, at = string.match(all[i + 1], '^(%d+)@(%d+)$')
    local age = now - (tonumber(at) or 0)
    if age < tonumber(ARGV[3]) then
        sum = sum + tonumber(members)
    elseif age > tonumber(ARGV[4]) then
        old[#old + 1] = all[i]
    end
end
if #old > 0 then
    redis.call('HDEL', KEYS[1], unpack(old))
end
return sum
