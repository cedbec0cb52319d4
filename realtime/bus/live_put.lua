-- Keep the rows that outrank what is kept, publish those, and answer with what outranks the others.
--
-- KEYS[1]  hash of the channel, rider -> row              live:{<channel>}
-- KEYS[2]  sharded pub/sub channel, in the same slot      bus:{<channel>}
-- ARGV[1]  header of the published message
-- ARGV[2]  rows, one after another
-- ARGV[3]  width of a row in bytes
-- ARGV[4]  seconds to keep the hash, and a row
-- Answers  {subscribers, rows that outrank published ones}
--
-- A put renews the whole hash, so it also looks at a few rows and removes those that are too old: otherwise a channel that
-- nobody reads would keep every rider who ever passed. What is old is measured by the rows that are put.
--
-- A row begins with generation (8), version (8), kind (1), time (8), rider (8), all big-endian. Numbers are compared, not
-- strings: Lua compares strings by the locale. Doubles are exact below 2^53.

local LOOKED_AT = 16

local width = tonumber(ARGV[3])

local function outranks(row, kept)
  local generation, version, kind = struct.unpack('>I8I8I1', row)
  local kept_generation, kept_version, kept_kind = struct.unpack('>I8I8I1', kept)
  if generation ~= kept_generation then return generation > kept_generation end
  if version ~= kept_version then return version > kept_version end
  return kind > kept_kind
end

local function moment_of(row)
  return (struct.unpack('>I8', row, 18))
end

local won, lost = {}, {}
local newest = 0
for begin = 1, #ARGV[2], width do
  local row = string.sub(ARGV[2], begin, begin + width - 1)
  local rider = string.sub(row, 26, 33)
  newest = math.max(newest, moment_of(row))
  local kept = redis.call('HGET', KEYS[1], rider)
  if not kept or #kept ~= width or outranks(row, kept) then
    redis.call('HSET', KEYS[1], rider, row)
    won[#won + 1] = row
  elseif kept ~= row then
    lost[#lost + 1] = kept
  end
end

local oldest = newest - tonumber(ARGV[4]) * 1000
local some = redis.call('HRANDFIELD', KEYS[1], LOOKED_AT, 'WITHVALUES')
for i = 1, #some, 2 do
  if #some[i + 1] ~= width or moment_of(some[i + 1]) < oldest then redis.call('HDEL', KEYS[1], some[i]) end
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
local subscribers
if #won > 0 then
  subscribers = redis.call('SPUBLISH', KEYS[2], ARGV[1] .. table.concat(won))
else
  subscribers = redis.call('PUBSUB', 'SHARDNUMSUB', KEYS[2])[2]
end
return {subscribers, table.concat(lost)}
