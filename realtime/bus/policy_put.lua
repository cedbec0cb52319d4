-- Keep a rider's sealed policy, unless a newer one is there.
--
-- KEYS[1]  hash of the rider: version, sealed        policy:{user:<id>}
-- ARGV[1]  version
-- ARGV[2]  sealed policy
-- ARGV[3]  seconds to keep it
-- Answers  1 when kept, 0 when a newer one is there

local kept = tonumber(redis.call('HGET', KEYS[1], 'version') or '-1')
if kept > tonumber(ARGV[1]) then
    return 0
end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'sealed', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
