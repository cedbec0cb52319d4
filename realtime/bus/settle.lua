-- Record which channels a rider's dot is on, unless a later generation has it.
--
-- KEYS[1]  hash of the rider: generation, channels, mover  where:{rider:<n>}
-- ARGV[1]  generation of the caller
-- ARGV[2]  channels, separated by spaces
-- ARGV[3]  seconds to keep it
-- Answers  1, or 0 when the dot belongs to a later generation

local kept = tonumber(redis.call('HGET', KEYS[1], 'generation') or '0')
if kept > tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'channels', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
