-- pool_seal: puts a filled list in place, once.
-- KEYS  1 list  2 state  3 users  4 outbox  5 tmp list of this attempt
-- ARGV  1 n  2 SHA-1 of the amounts joined by ','  3 limit  4 room
-- Returns {verdict, run id of the state}: 'sealed', 'exists' (sealed before, any state), 'length', 'hash',
--   'leftover' (grants without a state: a rain that lost its state must be recovered, never sealed again)
-- The state is checked first: whatever a late or second attempt brings, a sealed shard is never touched.
local rid = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local state_rid = redis.call('HGET', KEYS[2], 'rid')
if state_rid then
    redis.call('UNLINK', KEYS[5])
    return {'exists', state_rid}
end
if redis.call('EXISTS', KEYS[3], KEYS[4]) > 0 then
    return {'leftover', rid}
end
local n = tonumber(ARGV[1])
if redis.call('LLEN', KEYS[5]) ~= n then
    return {'length', rid}
end
if redis.sha1hex(table.concat(redis.call('LRANGE', KEYS[5], 0, -1), ',')) ~= ARGV[2] then
    return {'hash', rid}
end
redis.call('HSET', KEYS[2], 'st', 'P', 'rid', rid, 'n', ARGV[1], 'limit', ARGV[3], 'room', ARGV[4],
    'granted', '0', 'fen', '0', 'v', '1')
redis.call('UNLINK', KEYS[1])
if n > 0 then
    redis.call('RENAME', KEYS[5], KEYS[1])
    redis.call('PERSIST', KEYS[1])
end
return {'sealed', rid}
