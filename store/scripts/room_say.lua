-- room_say: an unlogged message of a room in a cluster, sharded where the server has it.
-- KEYS  1 channel     ARGV  1 message
-- Returns nothing
if type(redis.pcall('SPUBLISH', KEYS[1], ARGV[1])) ~= 'number' then
    redis.call('PUBLISH', KEYS[1], ARGV[1])
end
