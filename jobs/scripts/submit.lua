-- Queue a job once. Returns {'accepted' | 'duplicate' | 'full', depth}.
-- KEYS lane, record, index of environments  ARGV job bytes, bound, record value, record TTL in seconds, environment
local lane, record = KEYS[1], KEYS[2]
-- The duplicate is looked for first: a retry of what was accepted must not hear "full".
if redis.call('EXISTS', record) == 1 then
    return {'duplicate', 0}
end
local depth = redis.call('XLEN', lane)
if depth >= tonumber(ARGV[2]) then
    return {'full', depth}
end
redis.call('SET', record, ARGV[3], 'EX', ARGV[4])
redis.call('XADD', lane, '*', 'job', ARGV[1], 'attempt', 0)
-- Nobody may have announced it for long, and a lane that is not in the index is looked after by nobody.
redis.call('SADD', KEYS[3], ARGV[5])
return {'accepted', depth}
