-- Keep the rows that outrank what is kept, publish those, and answer with what outranks the others.
--
-- KEYS[1]  hash of the channel, rider -> row              live:{<channel>}
-- KEYS[2]  sharded pub/sub channel, in the same slot      bus:{<channel>}
-- ARGV[1]  header of the published message
-- ARGV[2]  rows, one after another
-- ARGV[3]  width of a row in bytes
-- ARGV[4]  seconds to keep the hash
-- Answers  {subscribers, rows that outrank published ones}
--
-- A row begins with generation (8), version (8), kind (1), time (8), rider (8), all big-endian. Numbers are compared, not
-- strings: Lua compares strings by the locale. Doubles are exact below 2^53.

local width = tonumber(ARGV[3])

local function outranks(row, kept)
  local generation, version, kind = struct.unpack('>I8I8I1', row)
  local kept_generation, kept_version, kept_kind = struct.unpack('>I8I8I1', kept)
  if generation ~= kept_generation then return generation > kept_generation end
  if version ~= kept_version then return version > kept_version end
  return kind > kept_kind
end

local won, lost = {}, {}
for begin = 1, #ARGV[2], width do
  local row = string.sub(ARGV[2], begin, begin + width - 1)
  local rider = string.sub(row, 26, 33)
  local kept = redis.call('HGET', KEYS[1], rider)
  if not kept or #kept ~= width or outranks(row, kept) then
    redis.call('HSET', KEYS[1], rider, row)
    won[#won + 1] = row
  elseif kept ~= row then
    lost[#lost + 1] = kept
  end
end

redis.call('EXPIRE', KEYS[1], ARGV[4])
local subscribers
if #won > 0 then
  subscribers = redis.call('SPUBLISH', KEYS[2], ARGV[1] .. table.concat(won))
else
  subscribers = redis.call('PUBSUB', 'SHARDNUMSUB', KEYS[2])[2]
end
return {subscribers, table.concat(lost)}
