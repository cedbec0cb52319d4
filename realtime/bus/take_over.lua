-- Make a rider's dot the caller's: raise its generation and say where it was.
--
-- KEYS[1]  hash of the rider: generation, channels        where:{rider:<n>}
-- ARGV[1]  seconds to keep it
-- Answers  {generation, channels it was left on, separated by spaces}

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local previous = tonumber(redis.call('HGET', KEYS[1], 'generation') or '0')
local generation = math.max(previous + 1, now)
redis.call('HSET', KEYS[1], 'generation', string.format('%.0f', generation))
redis.call('EXPIRE', KEYS[1], ARGV[1])
return {generation, redis.call('HGET', KEYS[1], 'channels') or ''}
