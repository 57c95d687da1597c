-- Take over entries whose leases ran out. Returns rows {lane number, entry id, times delivered, fields}.
-- At least one row, then no more once they have so many bytes: their leases run out again while they are on their way.
-- KEYS lanes...  ARGV group, worker, lease in ms, limit, bytes
local group, worker, lease, limit, bytes = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local rows = {}
for number, lane in ipairs(KEYS) do
    local room = limit - #rows
    local expired = room > 0 and redis.pcall('XPENDING', lane, group, 'IDLE', lease, '-', '+', room) or {}
    -- An error must not lose what was taken from the other lane.
    if expired.err then
        if #rows == 0 then return expired end
        return rows
    end
    for _, pending in ipairs(expired) do
        if bytes <= 0 then return rows end
        local id, times = pending[1], pending[4]
        local entry = redis.call('XCLAIM', lane, group, worker, lease, id)[1]
        if entry then
            rows[#rows + 1] = {number, id, times + 1, entry[2]}
            bytes = bytes - #entry[2][2]
        else
            -- Deleted while leased (by an operator): nothing is left to run.
            redis.call('XACK', lane, group, id)
        end
    end
end
return rows
