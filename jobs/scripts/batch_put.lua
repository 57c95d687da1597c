-- Add a block of items to a batch that is being uploaded. Returns 1; 0 if this upload was given up or taken over.
-- KEYS batch, items  ARGV upload token, first index + 1, field, value, TTL in seconds
if redis.call('HGET', KEYS[1], 'upload') ~= ARGV[1] then
    return 0
end
local id = ARGV[2] .. '-0'
-- It is there already if this was sent again, as the reply was lost.
if #redis.call('XRANGE', KEYS[2], id, id) == 0 then
    redis.call('XADD', KEYS[2], id, ARGV[3], ARGV[4])
end
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[5])
return 1
