#!lua flags=allow-oom
-- Say that a worker lives and what it serves; also while memory is at its bound, else it would count as dead.
-- KEYS notice, index of workers, index of environments
-- ARGV worker id, notice, its TTL in seconds, TTL of the index in seconds, environments...
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[4])
for i = 5, #ARGV do
    redis.call('SADD', KEYS[3], ARGV[i])
end
