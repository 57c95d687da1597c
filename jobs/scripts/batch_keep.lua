-- Keep a batch that is being uploaded for longer. Returns 1; 0 if this upload was given up or taken over, or is complete.
-- KEYS batch, items  ARGV upload token, TTL in seconds
if redis.call('HGET', KEYS[1], 'upload') ~= ARGV[1] then
    return 0
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1
