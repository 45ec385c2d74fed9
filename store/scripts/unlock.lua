-- unlock: gives a lease back, only the own one.
-- KEYS  1 lock     ARGV  1 owner
-- Returns 1 when it was held by the owner
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call('UNLINK', KEYS[1])
return 1
