#!lua flags=allow-oom
-- End an open batch before all is done. Returns the state before; 'missing' if there is no batch.
-- KEYS batch, results, order, packs, calls, cancels, items, submitted, shared part
-- ARGV new state, message, batch id, cancels length, fence ('' if asked from outside), now in seconds,
--      TTL of the shared part: until every worker has heard of the end
local batch = KEYS[1]
local known = redis.call('HMGET', batch, 'state', 'result_ttl_s', 'fence')
local state = known[1]
if not state then
    return 'missing'
end
if (state ~= 'queued' and state ~= 'running') or (ARGV[5] ~= '' and ARGV[5] ~= known[3]) then
    return state
end
redis.call('HSET', batch, 'state', ARGV[1], 'message', ARGV[2], 'finished_at', ARGV[6])
-- Workers kill what runs of it, and do not run what waits.
redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[4], '*', 'id', ARGV[3])
redis.call('XADD', KEYS[5], 'MAXLEN', '~', 1000, '*', 'end', 1)
redis.call('UNLINK', KEYS[7], KEYS[8])
for i = 1, 5 do
    redis.call('EXPIRE', KEYS[i], known[2])
end
redis.call('EXPIRE', KEYS[9], ARGV[7])
return state
