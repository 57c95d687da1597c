-- Begin the upload of a batch, or take over one that stopped half-way. Returns 'uploading', or the state of the batch
-- that has this id already.
-- KEYS batch, items  ARGV TTL in seconds, then fields and values
local state = redis.call('HGET', KEYS[1], 'state')
if state and state ~= 'uploading' then
    return state
end
redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'state', 'uploading', unpack(ARGV, 2))
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 'uploading'
