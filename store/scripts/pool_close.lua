-- pool_close: O or P -> C. Irreversible, repeatable.
-- KEYS  1 list  2 state     ARGV  1 force (0 or 1)
-- Returns {verdict, the fields of pool_state…}: 'closed', 'early' (before t1 and not forced), 'none',
--   'newer' (of a layout this program does not know)
-- No check of the run id: closing only takes away, and the caller gets both ids to judge what was granted.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rid = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local s = redis.call('HMGET', KEYS[2], 'st', 'rid', 't0', 't1', 'fen', 'sold_out_at', 'n', 'granted', 'v')
local verdict = 'closed'
if not s[1] then
    verdict = 'none'
elseif (tonumber(s[9]) or 1) > 1 then
    verdict = 'newer'
elseif s[1] ~= 'C' then
    local t1 = tonumber(s[4])
    if ARGV[1] == '1' or (t1 and now >= t1) then
        redis.call('HSET', KEYS[2], 'st', 'C')
        s[1] = 'C'
    else
        verdict = 'early'
    end
end
return {verdict, s[1] or '', s[2] or '', rid, now, tonumber(s[3]) or 0, tonumber(s[4]) or 0,
    tonumber(s[5]) or 0, tonumber(s[6]) or 0, tonumber(s[7]) or 0, tonumber(s[8]) or 0,
    redis.call('LLEN', KEYS[1]), tonumber(s[9]) or 1}
