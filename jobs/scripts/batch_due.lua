-- Take what is due, and put it off so that nobody else takes it meanwhile. Returns the members.
-- KEYS sorted set by time  ARGV now in seconds, until when to put off, most of them
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, member in ipairs(due) do
    redis.call('ZADD', KEYS[1], ARGV[2], member)
end
return due
