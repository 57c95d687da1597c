-- Lanes at this moment, together. Returns {waiting, running, age in ms of the oldest entry that waits}.
-- KEYS lanes...  ARGV group
local now = redis.call('TIME')
local waiting, running, age = 0, 0, 0
for _, lane in ipairs(KEYS) do
    local pending, last = 0, '0-0'
    local groups = redis.pcall('XINFO', 'GROUPS', lane)
    for _, group in ipairs(groups.err and {} or groups) do
        local info = {}
        for i = 1, #group, 2 do info[group[i]] = group[i + 1] end
        if info['name'] == ARGV[1] then
            pending, last = info['pending'], info['last-delivered-id']
        end
    end
    local oldest = redis.call('XRANGE', lane, '(' .. last, '+', 'COUNT', 1)[1]
    if oldest then
        local added = tonumber(string.match(oldest[1], '^%d+'))
        age = math.max(age, now[1] * 1000 + math.floor(now[2] / 1000) - added)
    end
    waiting = waiting + math.max(redis.call('XLEN', lane) - pending, 0)
    running = running + pending
end
return {waiting, running, age}
