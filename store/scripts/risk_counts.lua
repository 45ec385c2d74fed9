-- risk_counts: adds what one worker counted to the sums of all workers.
-- KEYS  1 counts of one rule and window (hash by counter id)
-- ARGV  1 ttl in ms  2 most counters there may be  then per counter: id, delta
-- Returns the sums, in order. A new counter past the cap is not stored: its sum is its delta.
local out = {}
local room = tonumber(ARGV[2]) - redis.call('HLEN', KEYS[1])
for i = 3, #ARGV, 2 do
    local known = redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1
    if known or room > 0 then
        out[#out + 1] = redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
        if not known then
            room = room - 1
        end
    else
        out[#out + 1] = tonumber(ARGV[i + 1])
    end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return out
