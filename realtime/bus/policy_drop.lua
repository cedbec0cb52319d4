-- Forget a rider's sealed policy when it is older than a version, and remember the version: a node that read the older
-- policy before, and writes it late, is refused.
--
-- KEYS[1]  hash of the rider: version, sealed        policy:{user:<id>}
-- ARGV[1]  version
-- ARGV[2]  seconds to remember it
-- Answers  1 when none as new was kept, 0 when one is

local kept = tonumber(redis.call('HGET', KEYS[1], 'version') or '-1')
if kept >= tonumber(ARGV[1]) then
    return 0
end
redis.call('HDEL', KEYS[1], 'sealed')
redis.call('HSET', KEYS[1], 'version', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
