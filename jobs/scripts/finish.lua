#!lua flags=allow-oom
-- Finish a job if the worker still owns it. XACK alone does not ask who acks. Returns 1, or 0 if it does not.
-- KEYS lane, record, waiters, dead-letter stream, the submitter's inbox (left out if nobody waits)
-- ARGV group, worker, entry id, job id, result bytes, result TTL in seconds ('' to drop the result),
--      inbox length, inbox TTL in seconds, reason ('' unless dead-lettered), dead-letter length, lane name
local lane, record, waiters, dead, inbox = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, worker, entry, id, result, result_ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local reason = ARGV[9]

local function reply(to)
    redis.call('XADD', to, 'MAXLEN', '~', ARGV[7], '*', 'id', id, 'result', result)
    redis.call('EXPIRE', to, ARGV[8])
end

local pending = redis.call('XPENDING', lane, group, entry, entry, 1)
if not pending[1] or pending[1][2] ~= worker then
    return 0
end
if reason ~= '' then
    local parked = redis.call('XRANGE', lane, entry, entry)[1]
    redis.call('XADD', dead, 'MAXLEN', '~', ARGV[10], '*', 'id', id, 'lane', ARGV[11], 'reason', reason,
        unpack(parked and parked[2] or {}))
end
redis.call('XACK', lane, group, entry)
redis.call('XDEL', lane, entry)
if inbox then
    reply(inbox)
end
if result_ttl ~= '' then
    redis.call('SET', record, result, 'EX', result_ttl)
    for _, waiter in ipairs(redis.call('SMEMBERS', waiters)) do
        if waiter ~= inbox then reply(waiter) end
    end
    redis.call('DEL', waiters)
end
return 1
