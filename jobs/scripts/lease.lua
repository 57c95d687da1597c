-- Lease what waits, single lanes first, without blocking. Returns rows {lane number, entry id, 1, fields}.
-- At least one row, then no more once they have so many bytes: how many jobs COUNT are says nothing of their size.
-- KEYS single lanes..., as many batch lanes...  ARGV group, worker, single count, batch count, bytes
local rows, bytes = {}, tonumber(ARGV[5])
local counts = {tonumber(ARGV[3]), tonumber(ARGV[4])}
local room = math.max(counts[1], counts[2])
for number, lane in ipairs(KEYS) do
    local class = number <= #KEYS / 2 and 1 or 2
    while bytes > 0 and math.min(counts[class], room - #rows) > 0 do
        local reply = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', lane, '>')
        -- An error must not lose what was leased before it.
        if reply and reply.err then
            if #rows == 0 then return reply end
            return rows
        end
        local entry = reply and reply[1][2][1]
        if not entry then break end
        rows[#rows + 1] = {number, entry[1], 1, entry[2]}
        counts[class] = counts[class] - 1
        bytes = bytes - #entry[2][2]
    end
end
return rows
