#!lua flags=allow-oom
-- Put a block of packed results in the place of the results themselves. Returns 1, or 0 if another coordinator took over.
-- KEYS batch, results, packs  ARGV fence, first completion, one past the last, field, value
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then
    return 0
end
local id = ARGV[2] .. '-0'
-- It is there already if this was sent again, as the reply was lost.
if #redis.call('XRANGE', KEYS[3], id, id) == 0 then
    redis.call('XADD', KEYS[3], id, ARGV[4], ARGV[5])
end
redis.call('EXPIRE', KEYS[3], redis.call('TTL', KEYS[1]))
redis.call('XTRIM', KEYS[2], 'MINID', ARGV[3] .. '-0')
return 1
