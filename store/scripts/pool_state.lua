-- pool_state: what is known about a shard, with the run id of the Redis that answers.
-- KEYS  1 state  2 list
-- Returns {'ok' or 'none', st, rid, run id now, now ms, t0, t1, fen, sold_out_at, n, granted, left in the list,
--   layout}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rid = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local s = redis.call('HMGET', KEYS[1], 'st', 'rid', 't0', 't1', 'fen', 'sold_out_at', 'n', 'granted', 'v')
return {s[1] and 'ok' or 'none', s[1] or '', s[2] or '', rid, now, tonumber(s[3]) or 0,
    tonumber(s[4]) or 0, tonumber(s[5]) or 0, tonumber(s[6]) or 0, tonumber(s[7]) or 0,
    tonumber(s[8]) or 0, redis.call('LLEN', KEYS[2]), tonumber(s[9]) or 1}
