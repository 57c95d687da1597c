#!lua flags=allow-oom
-- Finish an item of a batch if the worker still owns it, and record its result, once per index.
-- Returns 0 if it does not own it; 1 recorded; 2 dropped: it had a result already, or the batch is gone; 3 to be run again.
-- KEYS lane, dead-letter stream, batch, results, order, submitted, calls, items, packs, shared part
-- ARGV group, worker, entry id, job id, result bytes, the same without output, index, custom id, status,
--      '1' if it may be run again, reason ('' unless dead-lettered), dead-letter length, lane name
local lane, dead, batch, results, order = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, worker, entry, index = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[7])

local pending = redis.call('XPENDING', lane, group, entry, entry, 1)
if not pending[1] or pending[1][2] ~= worker then
    return 0
end
if ARGV[11] ~= '' then
    local parked = redis.call('XRANGE', lane, entry, entry)[1]
    redis.call('XADD', dead, 'MAXLEN', '~', ARGV[12], '*', 'id', ARGV[4], 'lane', ARGV[13], 'reason', ARGV[11],
        unpack(parked and parked[2] or {}))
end
redis.call('XACK', lane, group, entry)
redis.call('XDEL', lane, entry)

local known = redis.call('HMGET', batch, 'state', 'total', 'result_ttl_s', 'result_bytes', 'bytes', 'largest')
local state = known[1]
local done = redis.call('GETRANGE', order, index * 4, index * 4 + 3)
if not state or done ~= '\0\0\0\0' then
    return 2
end
if ARGV[10] == '1' and state == 'running' and redis.call('HSETNX', batch, 'again:' .. index, 1) == 1 then
    redis.call('SETBIT', KEYS[6], index, 0)
    redis.call('XADD', KEYS[7], 'MAXLEN', '~', 1000, '*', 'again', index)
    return 3
end
local result = ARGV[5]
if tonumber(known[5] or 0) + #result > tonumber(known[4]) then
    result = ARGV[6]
end
local number = redis.call('HINCRBY', batch, 'completed', 1)
redis.call('HINCRBY', batch, 'count:' .. ARGV[9], 1)
redis.call('HINCRBY', batch, 'bytes', #result)
if #result > tonumber(known[6] or 0) then
    redis.call('HSET', batch, 'largest', #result)
end
redis.call('XADD', results, number .. '-0', 'i', index, 'c', ARGV[8], 's', ARGV[9], 'r', result)
redis.call('SETRANGE', order, index * 4, struct.pack('>I4', number))
if number == 1 then
    redis.call('EXPIRE', results, redis.call('TTL', batch))
end
if number == tonumber(known[2]) and (state == 'running' or state == 'queued') then
    local now = redis.call('TIME')
    redis.call('HSET', batch, 'state', 'done', 'finished_at', now[1] .. '.' .. string.format('%06d', now[2]))
    redis.call('UNLINK', KEYS[6], KEYS[8], KEYS[10])
    for _, key in ipairs({batch, results, order, KEYS[7], KEYS[9]}) do
        redis.call('EXPIRE', key, known[3])
    end
end
return 1
