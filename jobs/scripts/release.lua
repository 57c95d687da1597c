#!lua flags=allow-oom
-- Give a job back unstarted: a new entry that anybody may read at once. Returns 1, or 0 if it is not ours.
-- KEYS lane  ARGV group, worker, entry id, leases that count
local lane, group, worker, id = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local pending = redis.call('XPENDING', lane, group, id, id, 1)
if not pending[1] or pending[1][2] ~= worker then
    return 0
end
local entry = redis.call('XRANGE', lane, id, id)[1]
redis.call('XACK', lane, group, id)
-- An entry deleted under us (by an operator) stays deleted.
if entry then
    redis.call('XDEL', lane, id)
    -- The job's bytes go back as they came (field 1 is 'job'), whatever version wrote them.
    redis.call('XADD', lane, '*', 'job', entry[2][2], 'attempt', ARGV[4])
end
return 1
