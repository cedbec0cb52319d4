-- The nodes that have said lately that they are up.
--
-- KEYS[1]  sorted set of the nodes by when they last said so, in Redis' milliseconds  nodes:{nodes}
-- KEYS[2]  hash of what each says of itself  said:{nodes}
-- ARGV[1]  how long that holds, in milliseconds
-- Answers  for each node what it said, and how long ago in milliseconds
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
local nodes = redis.call('ZRANGE', KEYS[1], '(' .. string.format('%.0f', now - ARGV[1]), '+inf', 'BYSCORE', 'WITHSCORES')
for place = 1, #nodes, 2 do
    local said = redis.call('HGET', KEYS[2], nodes[place])
    if said then
        found[#found + 1] = {said, math.max(0, now - nodes[place + 1])}
    end
end
return found
