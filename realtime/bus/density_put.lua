-- Keep a node's counts for a while, and answer which nodes have counts now.
--
-- KEYS[1]  sorted set, node -> until when its counts are kept (milliseconds, by Redis)   density:{counts}
-- KEYS[2]  the node's counts; ends by itself when the node does not renew it             density:{counts}:<node>
-- ARGV[1]  the node
-- ARGV[2]  the counts, opaque; empty when there are none: then the node is forgotten
-- ARGV[3]  milliseconds to keep them
-- Answers  the nodes whose counts are kept

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if ARGV[2] == '' then
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZRANGE', KEYS[1], 0, -1)
