-- Append entries to a stream, all or none, unless that would take it over its limit.
--
-- KEYS[1]   the stream
-- ARGV[1]   limit in bytes
-- ARGV[2]   name of the field
-- ARGV[3..] entries
-- Answers   {1 if appended, 0 if refused; bytes that the stream uses; replicas connected}
--
-- The size of a long stream is estimated from its first nodes (an exact count would read all of it).

local SAMPLES = 256
local limit = tonumber(ARGV[1])
local used = redis.call('MEMORY', 'USAGE', KEYS[1], 'SAMPLES', SAMPLES) or 0
local replicas = tonumber(string.match(redis.call('INFO', 'replication'), 'connected_slaves:(%d+)') or '0')

local more = 0
for i = 3, #ARGV do
  more = more + #ARGV[i]
end
if used + more > limit then
  return {0, used, replicas}
end
for i = 3, #ARGV do
  redis.call('XADD', KEYS[1], '*', ARGV[2], ARGV[i])
end
return {1, used + more, replicas}
