-- Lease what waits, single lanes first, without blocking. Returns rows {lane number, entry id, 1, fields}.
-- KEYS single lanes..., as many batch lanes...  ARGV group, worker, single count, batch count
local rows = {}
local counts = {tonumber(ARGV[3]), tonumber(ARGV[4])}
local room = math.max(counts[1], counts[2])
for number, lane in ipairs(KEYS) do
    local class = number <= #KEYS / 2 and 1 or 2
    local count = math.min(counts[class], room - #rows)
    if count > 0 then
        local reply = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count, 'STREAMS', lane, '>')
        -- An error must not lose what the other lanes have already given.
        if reply and reply.err then
            if #rows == 0 then return reply end
            return rows
        end
        for _, entry in ipairs(reply and reply[1][2] or {}) do
            rows[#rows + 1] = {number, entry[1], 1, entry[2]}
            counts[class] = counts[class] - 1
        end
    end
end
return rows
