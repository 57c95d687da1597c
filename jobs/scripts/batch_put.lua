-- Add a block of items to a batch that is being uploaded. Returns 1; 0 if this upload was given up or taken over.
-- KEYS batch, items  ARGV upload token, first index + 1, field, value, TTL in seconds
if redis.call('HGET', KEYS[1], 'upload') ~= ARGV[1] then
    return 0
end
redis.call('XADD', KEYS[2], ARGV[2] .. '-0', ARGV[3], ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[5])
return 1
