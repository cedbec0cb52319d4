-- A node says that it is up; those that have not said so for too long are forgotten.
--
-- KEYS[1]  sorted set of the nodes by when they last said so, in Redis' milliseconds  nodes:{nodes}
-- KEYS[2]  hash of what each says of itself  said:{nodes}
-- ARGV[1]  the node's id
-- ARGV[2]  what it says
-- ARGV[3]  how long that holds, in milliseconds
-- Answers  how many nodes are up, this one included
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, gone in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now - ARGV[3], 'BYSCORE')) do
    redis.call('ZREM', KEYS[1], gone)
    redis.call('HDEL', KEYS[2], gone)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return redis.call('ZCARD', KEYS[1])
