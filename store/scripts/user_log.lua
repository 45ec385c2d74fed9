-- user_log: takes what waits for a user: reads and deletes.
-- KEYS  1 the user's log
-- Returns the items, oldest first
local items = redis.call('LRANGE', KEYS[1], 0, -1)
redis.call('UNLINK', KEYS[1])
return items
