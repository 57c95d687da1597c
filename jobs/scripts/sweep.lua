-- Forget the names of workers that are gone. Never one with pending entries: its jobs would be lost with it.
-- KEYS lanes...  ARGV group, idle time in ms after which a worker counts as gone
for _, lane in ipairs(KEYS) do
    local consumers = redis.pcall('XINFO', 'CONSUMERS', lane, ARGV[1])
    for _, consumer in ipairs(consumers.err and {} or consumers) do
        local info = {}
        for i = 1, #consumer, 2 do info[consumer[i]] = consumer[i + 1] end
        if info['pending'] == 0 and info['idle'] > tonumber(ARGV[2]) then
            redis.call('XGROUP', 'DELCONSUMER', lane, ARGV[1], info['name'])
        end
    end
end
