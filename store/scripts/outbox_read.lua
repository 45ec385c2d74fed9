-- outbox_read: entries of a shard's outbox that are older than an age by Redis' own clock, oldest first.
-- KEYS  1 outbox     ARGV  1 age ms  2 count  3 id to start after, or ''
-- Returns the entries as XRANGE does
local time = redis.call('TIME')
local cut = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1])
if cut < 0 then
    return {}
end
local from = '-'
if ARGV[3] ~= '' then
    from = '(' .. ARGV[3]
end
return redis.call('XRANGE', KEYS[1], from, string.format('%.0f', cut), 'COUNT', ARGV[2])
