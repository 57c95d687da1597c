-- Let an owner have one more open batch of so many items. Returns {word, number}: 'ok' and the items that would still
-- fit; 'batches' or 'items' and how many there are already.
-- KEYS the owner's open batches  ARGV batch id, its items, most batches, most items, TTL in seconds
local open, id, items = KEYS[1], ARGV[1], tonumber(ARGV[2])
local batches, sum = 0, 0
local all = redis.call('HGETALL', open)
for i = 1, #all, 2 do
    if all[i] ~= id then
        batches, sum = batches + 1, sum + tonumber(all[i + 1])
    end
end
if batches >= tonumber(ARGV[3]) then
    return {'batches', batches}
end
if sum + items > tonumber(ARGV[4]) then
    return {'items', sum}
end
redis.call('HSET', open, id, items)
redis.call('EXPIRE', open, ARGV[5])
return {'ok', tonumber(ARGV[4]) - sum - items}
