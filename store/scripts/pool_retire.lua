-- pool_retire: after SETTLED. The outbox goes, the rest stays for a while for questions.
-- KEYS  1 list  2 state  3 users  4 outbox     ARGV  1 seconds to keep
-- Returns 'ok', 'open' (not closed: nothing is done, a live rain's keys never get a TTL)
local st = redis.call('HGET', KEYS[2], 'st')
if st and st ~= 'C' then
    return 'open'
end
redis.call('UNLINK', KEYS[4])
for i = 1, 3 do
    redis.call('EXPIRE', KEYS[i], ARGV[1])
end
return 'ok'
