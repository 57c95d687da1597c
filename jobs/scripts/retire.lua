-- Drop the lanes of an environment that nobody serves, if they are empty. Returns 1 if they were.
-- KEYS index of environments, its lanes...  ARGV environment
for i = 2, #KEYS do
    if redis.call('XLEN', KEYS[i]) > 0 then
        return 0
    end
end
for i = 2, #KEYS do
    redis.call('DEL', KEYS[i])
end
redis.call('SREM', KEYS[1], ARGV[1])
return 1
