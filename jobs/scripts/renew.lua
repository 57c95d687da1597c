-- Renew the worker's leases in one lane. Returns the entry ids that are no longer its own.
-- KEYS lane  ARGV group, worker, entry ids...
local lane, group, worker = KEYS[1], ARGV[1], ARGV[2]
local lost = {}
for i = 3, #ARGV do
    local id = ARGV[i]
    local pending = redis.call('XPENDING', lane, group, id, id, 1)
    if pending[1] and pending[1][2] == worker then
        -- JUSTID: idle time back to 0, delivery count as it was.
        redis.call('XCLAIM', lane, group, worker, 0, id, 'JUSTID')
    else
        lost[#lost + 1] = id
    end
end
return lost
