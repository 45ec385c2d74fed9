-- pool_grab: grants packets of one shard to a batch of (user, seq), all or nothing.
-- KEYS  1 list  2 state  3 users  4 outbox       (one hash tag)
-- ARGV  1 outbox cap  2 code  3 shard, then per item: user, seq (0-based; 'r' in front: replay only)
-- Returns {rid of the state (X: run id), now ms, t0, t1, granted, fen, sold_out_at, left, outbox id or '', items}
--   items: one word per item, joined by ';':  O:seq:no:amount granted now   R:seq:no:amount granted before
--          N not started  E ended  B outbox full  Q:next bad seq  L limit  S sold out  X recovering
--          D not eligible (replay only, and nothing was granted for this seq)
-- The order of the checks is part of the contract:
--   1. is this the Redis that sealed the shard?  A wiped, restarted or rolled back one must not grant: X. The first 32 digits
--      of the state's rid are the run's; recovery sets the other 8 anew, so that two lives of a shard in one run differ.
--   2. replays come before everything else, also when the rain is closed: a user whose answer was lost asks again.
--   3. only then the reasons to say no.  4. every string is built before the first write.
-- XADD is the first write: out of memory, read-only and disk errors are raised by it, with nothing changed yet.
-- Amounts are never turned into numbers on their way from the list to the records.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rid = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local s = redis.call('HMGET', KEYS[2], 'st', 'rid', 't0', 't1', 'limit', 'n', 'granted', 'fen', 'room',
    'sold_out_at')
local st, room = s[1], s[9]
local t0, t1 = tonumber(s[3]) or 0, tonumber(s[4]) or 0
local granted, fen = tonumber(s[7]) or 0, tonumber(s[8]) or 0
local sold_out_at = tonumber(s[10]) or 0
local left = redis.call('LLEN', KEYS[1])
local items = (#ARGV - 3) / 2
local out = {}

if not st or string.sub(s[2] or '', 1, 32) ~= string.sub(rid, 1, 32) or granted + left ~= tonumber(s[6]) then
    for i = 1, items do
        out[i] = 'X'
    end
    return {rid, now, t0, t1, granted, fen, sold_out_at, left, '', table.concat(out, ';')}
end

rid = s[2]
-- A word '-' in a user's record is a seq whose grant was lost with an older Redis and told to nobody: it is granted anew.
-- Each user's record is read once and kept up to date here: a user may occur several times in a batch.
local names, grants = {}, {}
for i = 4, #ARGV, 2 do
    if not grants[ARGV[i]] then
        grants[ARGV[i]] = {}
        names[#names + 1] = ARGV[i]
    end
end
for i, record in ipairs(redis.call('HMGET', KEYS[3], unpack(names))) do
    if record then
        local list = grants[names[i]]
        for grant in string.gmatch(record, '[^;]+') do
            list[#list + 1] = grant
        end
    end
end

local refuse = nil
if st == 'P' or now < t0 then
    refuse = 'N'
elseif st == 'C' or now >= t1 then
    refuse = 'E'
elseif redis.call('XLEN', KEYS[4]) >= tonumber(ARGV[1]) then
    refuse = 'B'
end

local limit = tonumber(s[5])
local amounts = {}
if not refuse and left > 0 then
    amounts = redis.call('LRANGE', KEYS[1], 0, items - 1)
end
local won, winners, sum = {}, {}, 0
for i = 1, items do
    local user, seq = ARGV[2 + 2 * i], ARGV[3 + 2 * i]
    local mine = grants[user]
    local want, count, replay_only = tonumber(seq), #mine, false
    if not want then
        want, replay_only = tonumber(string.sub(seq, 2)), true
    end
    if want < count and mine[want + 1] ~= '-' then out[i] = 'R:' .. mine[want + 1]
    elseif replay_only then out[i] = 'D'
    elseif refuse then out[i] = refuse
    elseif want > count then out[i] = 'Q:' .. count
    elseif want >= limit then out[i] = 'L'
    elseif #won >= #amounts then out[i] = 'S'
    else
        local grant = seq .. ':' .. (granted + #won) .. ':' .. amounts[#won + 1]
        sum = sum + tonumber(amounts[#won + 1])
        out[i] = 'O:' .. grant
        mine[want + 1] = grant
        won[#won + 1] = user .. ':' .. grant
        winners[user] = true
    end
end

local id = ''
if #won > 0 then
    local records = {}
    for user in pairs(winners) do
        records[#records + 1] = user
        records[#records + 1] = table.concat(grants[user], ';')
    end
    id = redis.call('XADD', KEYS[4], '*', 'code', ARGV[2], 'shard', ARGV[3], 'room', room, 'rid', rid,
        'at', string.format('%.0f', now), 'items', table.concat(won, ';'))
    redis.call('HSET', KEYS[3], unpack(records))
    redis.call('LPOP', KEYS[1], #won)
    left = left - #won
    granted = redis.call('HINCRBY', KEYS[2], 'granted', #won)
    fen = redis.call('HINCRBY', KEYS[2], 'fen', string.format('%.0f', sum))
    if left == 0 then
        redis.call('HSETNX', KEYS[2], 'sold_out_at', string.format('%.0f', now))
        sold_out_at = now
    end
end
return {rid, now, t0, t1, granted, fen, sold_out_at, left, id, table.concat(out, ';')}
