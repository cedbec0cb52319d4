-- Make a rider's dot the caller's: raise its generation and say where it was.
--
-- KEYS[1]  hash of the rider: generation, channels, mover, node  where:{rider:<n>}
-- ARGV[1]  seconds to keep it
-- ARGV[2]  what moves the dot from now on (a track's id); empty when it is only taken off the map
-- ARGV[3]  when to refuse: 'never', 'later' (something moves it under a later generation than ARGV[4], given to another
--          node) or 'other' (what moves it is not ARGV[4])
-- ARGV[4]  see ARGV[3]
-- ARGV[5]  the caller's node. A paused Redis carries out, when it wakes up, what the caller has given up: a later
--          generation that was given to the caller itself is no other node's.
-- Answers  {generation, channels it was left on, separated by spaces; 1 if taken, 0 if refused}

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local previous = tonumber(redis.call('HGET', KEYS[1], 'generation') or '0')
local mover = redis.call('HGET', KEYS[1], 'mover') or ''
local channels = redis.call('HGET', KEYS[1], 'channels') or ''
local node = redis.call('HGET', KEYS[1], 'node') or ''

local refused = {
  never = function() return false end,
  later = function() return mover ~= '' and previous > tonumber(ARGV[4]) and node ~= ARGV[5] end,
  other = function() return mover ~= ARGV[4] end,
}
if refused[ARGV[3]]() then
  return {previous, '', 0}
end
local generation = math.max(previous + 1, now)
redis.call('HSET', KEYS[1], 'generation', string.format('%.0f', generation), 'mover', ARGV[2], 'node', ARGV[5])
redis.call('EXPIRE', KEYS[1], ARGV[1])
return {generation, channels, 1}
