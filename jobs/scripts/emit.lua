-- Add output to an inbox that has room for it: output must never push out replies. Returns 1, or 0 if it was dropped.
-- KEYS inbox  ARGV most entries, TTL in seconds, job id, output bytes
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then
    return 0
end
redis.call('XADD', KEYS[1], '*', 'id', ARGV[3], 'output', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
