#!lua flags=allow-oom
-- Take a batch over: it runs, and who coordinated it before is fenced off. Returns {word, fence, total}.
-- The word is the state that the batch is in now; 'missing' if there is none.
-- KEYS batch, calls  ARGV now in seconds
local batch = KEYS[1]
local state = redis.call('HGET', batch, 'state')
if not state then
    return {'missing', 0, 0}
end
if state ~= 'queued' and state ~= 'running' then
    return {state, 0, 0}
end
redis.call('HSET', batch, 'state', 'running')
redis.call('HSETNX', batch, 'started_at', ARGV[1])
-- The twin, if there is one, wakes up and finds itself fenced.
redis.call('XADD', KEYS[2], 'MAXLEN', '~', 1000, '*', 'begin', 1)
redis.call('EXPIRE', KEYS[2], redis.call('TTL', batch))
return {'running', redis.call('HINCRBY', batch, 'fence', 1), tonumber(redis.call('HGET', batch, 'total'))}
