-- The job's result, or else have the inbox told when there is one. In one step, so that no finish slips between.
-- KEYS record, waiters  ARGV inbox key, TTL in seconds, records that are not results...
local found = redis.call('GET', KEYS[1])
if found and found ~= ARGV[3] and found ~= ARGV[4] then
    return found
end
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return false
