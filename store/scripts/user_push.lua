-- user_push: PushToUser that also waits for the user's next HELLO.
-- KEYS  1 the user's log     ARGV  1 channel  2 message  3 log item  4 cap  5 TTL s
-- Returns the length of the log
redis.call('RPUSH', KEYS[1], ARGV[3])
redis.call('LTRIM', KEYS[1], '-' .. ARGV[4], -1)
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return redis.call('LLEN', KEYS[1])
