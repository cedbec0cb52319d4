-- Record which channels a rider's dot is on, unless another node has it under a later generation.
--
-- KEYS[1]  hash of the rider: generation, channels, policy, mover, node  where:{rider:<n>}
-- ARGV[1]  generation of the caller
-- ARGV[2]  channels, separated by spaces
-- ARGV[3]  seconds to keep it
-- ARGV[4]  the caller's node
-- ARGV[5]  version of the policy that puts it there
-- Answers  1, or 0 when the dot belongs to a later generation of another node

local kept = tonumber(redis.call('HGET', KEYS[1], 'generation') or '0')
if kept > tonumber(ARGV[1]) then
  -- The caller's own takeover whose answer was lost: it will take again, and settle then.
  return redis.call('HGET', KEYS[1], 'node') == ARGV[4] and 1 or 0
end
redis.call(
  'HSET', KEYS[1], 'generation', ARGV[1], 'channels', ARGV[2], 'node', ARGV[4], 'policy', ARGV[5]
)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
