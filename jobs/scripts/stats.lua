-- A lane at this moment. Returns {waiting, running, age in ms of the oldest entry that waits}.
-- KEYS lane  ARGV group
local lane, running, last = KEYS[1], 0, '0-0'
local groups = redis.pcall('XINFO', 'GROUPS', lane)
for _, group in ipairs(groups.err and {} or groups) do
    local info = {}
    for i = 1, #group, 2 do info[group[i]] = group[i + 1] end
    if info['name'] == ARGV[1] then
        running, last = info['pending'], info['last-delivered-id']
    end
end
local age = 0
local oldest = redis.call('XRANGE', lane, '(' .. last, '+', 'COUNT', 1)[1]
if oldest then
    local now = redis.call('TIME')
    age = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(string.match(oldest[1], '^%d+'))
end
return {math.max(redis.call('XLEN', lane) - running, 0), running, math.max(age, 0)}
