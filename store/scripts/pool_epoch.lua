-- pool_epoch: which life of which Redis answers. A restart changes the run id; a wipe takes the mark away.
-- KEYS  1 mark     ARGV  1 a new mark, random
-- Returns {run id, mark}
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return {string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), redis.call('GET', KEYS[1])}
