-- risk_crowd: adds users to those seen at one address in one window, by all workers.
-- KEYS  1 users of the address and window (HyperLogLog: 0.81 % standard error)
-- ARGV  1 ttl in ms  then users
-- Returns how many there are
redis.call('PFADD', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.call('PFCOUNT', KEYS[1])
