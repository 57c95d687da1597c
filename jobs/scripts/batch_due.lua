-- Take what is due, and put it off so that nobody else takes it meanwhile. Returns the members.
-- KEYS sorted set by time  ARGV now in seconds, until when to put off, most of them
-- What has this very time was taken by this very call: it was sent again, as the reply was lost.
local taken = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[2], ARGV[2])
if #taken > 0 then
    return taken
end
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, member in ipairs(due) do
    redis.call('ZADD', KEYS[1], ARGV[2], member)
end
return due
