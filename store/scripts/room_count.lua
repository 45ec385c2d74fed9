-- room_count: writes one worker's members and what became of the room's frames there, or only asks; sums the members of the
-- fields that are fresh.
-- KEYS  1 count (worker -> 'members@ms')  2 delivery (worker#life -> 'expected,sent,dropped,closed,queued@ms'; gone -> the
--       same, of workers that are silent: what they had queued is lost)  3 grabs (worker#life -> 'grabs,failed@ms'; gone)
-- ARGV  1 worker or ''  2 members  3 fresh ms  4 forget ms  5 life  6 expected  7 sent  8 dropped  9 closed  10 queued
--       11 grabs  12 failed
-- Returns the members of all workers
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at_now = '@' .. string.format('%.0f', now)
local sum, old = 0, {}
if ARGV[1] ~= '' then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. at_now)
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
if not ARGV[10] then
    return sum
end
redis.call('HSET', KEYS[2], ARGV[1] .. '#' .. ARGV[5],
    ARGV[6] .. ',' .. ARGV[7] .. ',' .. ARGV[8] .. ',' .. ARGV[9] .. ',' .. ARGV[10] .. at_now)
redis.call('PEXPIRE', KEYS[2], '93600000')
all = redis.call('HGETALL', KEYS[2])
local gone, folded = {0, 0, 0, 0, 0}, {}
for i = 1, #all, 2 do
    local e, s, d, c, q, at = string.match(all[i + 1], '^(%d+),(%d+),(%d+),(%d+),(%d+)@(%d+)$')
    if all[i] == 'gone' or now - (tonumber(at) or 0) > tonumber(ARGV[4]) then
        if at then
            gone = {gone[1] + e, gone[2] + s, gone[3] + d, gone[4] + c, gone[5] + q}
        end
        if all[i] ~= 'gone' then
            folded[#folded + 1] = all[i]
        end
    end
end
if #folded > 0 then
    redis.call('HDEL', KEYS[2], unpack(folded))
    redis.call('HSET', KEYS[2], 'gone', string.format('%.0f,%.0f,%.0f,%.0f,%.0f@0', unpack(gone)))
end
if ARGV[12] and ARGV[11] ~= '0' then
    redis.call('HSET', KEYS[3], ARGV[1] .. '#' .. ARGV[5], ARGV[11] .. ',' .. ARGV[12] .. at_now)
    redis.call('PEXPIRE', KEYS[3], '93600000')
    local n, bad, out = 0, 0, {}
    all = redis.call('HGETALL', KEYS[3])
    for i = 1, #all, 2 do
        local g, f, at = string.match(all[i + 1], '^(%d+),(%d+)@(%d+)$')
        if all[i] == 'gone' or now - (tonumber(at) or 0) > tonumber(ARGV[4]) then
            n, bad = n + (g or 0), bad + (f or 0)
            if all[i] ~= 'gone' then
                out[#out + 1] = all[i]
            end
        end
    end
    if #out > 0 then
        redis.call('HDEL', KEYS[3], unpack(out))
        redis.call('HSET', KEYS[3], 'gone', string.format('%.0f,%.0f@0', n, bad))
    end
end
return sum
