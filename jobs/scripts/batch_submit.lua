-- Put items of a batch on their lanes, each once. Returns {word, how many of the items are dealt with}.
-- The word is 'ok', 'full' (of a lane), 'fenced' (another coordinator took over) or 'closed' (nothing more may run).
-- KEYS batch, submitted, order, index of environments, lanes...
-- ARGV fence, lane bound, the environment of each lane, then for each item: lane number, index, job bytes
local batch, submitted, order = KEYS[1], KEYS[2], KEYS[3]
local known = redis.call('HMGET', batch, 'fence', 'state')
if known[1] ~= ARGV[1] then
    return {'fenced', 0}
end
if known[2] ~= 'running' then
    return {'closed', 0}
end
local bound, dealt, items = tonumber(ARGV[2]), 0, #KEYS - 1
-- They may have been swept while the batch waited for its turn; a lane out of the index is looked after by nobody.
redis.call('SADD', KEYS[4], unpack(ARGV, 3, items - 1))
for i = items, #ARGV, 3 do
    local lane, index = KEYS[5 + tonumber(ARGV[i])], tonumber(ARGV[i + 1])
    local done = redis.call('GETRANGE', order, index * 4, index * 4 + 3)
    if redis.call('GETBIT', submitted, index) == 0 and (done == '' or done == '\0\0\0\0') then
        if redis.call('XLEN', lane) >= bound then
            return {'full', dealt}
        end
        redis.call('SETBIT', submitted, index, 1)
        redis.call('XADD', lane, '*', 'job', ARGV[i + 2], 'attempt', 0)
    end
    dealt = dealt + 1
end
return {'ok', dealt}
