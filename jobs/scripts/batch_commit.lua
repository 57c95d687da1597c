-- Make an uploaded batch visible, once. Returns 1; 0 if this upload was given up or taken over.
-- KEYS batch, items, submitted, order, shared part
-- ARGV upload token, total, TTL in seconds, bytes of the shared part ('' if there is none), then fields and values
local batch, total = KEYS[1], tonumber(ARGV[2])
local known = redis.call('HMGET', batch, 'upload', 'uploaded')
if known[2] == ARGV[1] then
    return 1 -- sent again, as the reply was lost
end
if known[1] ~= ARGV[1] then
    return 0
end
redis.call('HDEL', batch, 'upload')
redis.call('HSET', batch, 'uploaded', ARGV[1], 'state', 'queued', 'total', total, unpack(ARGV, 5))
if ARGV[4] ~= '' then
    redis.call('SET', KEYS[5], ARGV[4])
end
-- At their full length at once, so that neither grows by copying.
redis.call('SETBIT', KEYS[3], total, 0)
redis.call('SETRANGE', KEYS[4], total * 4 - 4, '\0\0\0\0')
for _, key in ipairs(KEYS) do
    redis.call('EXPIRE', key, ARGV[3])
end
return 1
