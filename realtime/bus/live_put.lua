-- For each of some channels: keep the rows that outrank what is kept, publish those, and answer with what outranks the
-- others. In a cluster all of them are in one slot.
--
-- KEYS[2i - 1]  hash of the i-th channel, rider -> row    live:{<channel>}
-- KEYS[2i]      its sharded pub/sub channel, same slot    bus:{<channel>}
-- ARGV[1]       header of the published messages
-- ARGV[2]       width of a row in bytes
-- ARGV[3]       seconds to keep a hash, and a row
-- ARGV[3 + i]   rows of the i-th channel, one after another
-- Answers       for each channel: subscribers, rows that outrank published ones
--
-- A put renews the whole hash, so it also looks at a few rows and removes those that are too old: otherwise a channel that
-- nobody reads would keep every rider who ever passed. What is old is measured by the rows that are put.
--
-- A row begins with generation (8), version (8), kind (1), time (8), rider (8), all big-endian. Numbers are compared, not
-- strings: Lua compares strings by the locale. Doubles are exact below 2^53.

local LOOKED_AT = 16

local header = ARGV[1]
local width = tonumber(ARGV[2])
local seconds = tonumber(ARGV[3])

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

local function put(hash, channel, rows)
  local won, lost = {}, {}
  local newest = 0
  for begin = 1, #rows, width do
    local row = string.sub(rows, begin, begin + width - 1)
    local rider = string.sub(row, 26, 33)
    newest = math.max(newest, moment_of(row))
    local kept = redis.call('HGET', hash, rider)
    if not kept or #kept ~= width or outranks(row, kept) then
      redis.call('HSET', hash, rider, row)
      won[#won + 1] = row
    elseif kept ~= row then
      lost[#lost + 1] = kept
    end
  end

  local oldest = newest - seconds * 1000
  local some = redis.call('HRANDFIELD', hash, LOOKED_AT, 'WITHVALUES')
  for i = 1, #some, 2 do
    if #some[i + 1] ~= width or moment_of(some[i + 1]) < oldest then redis.call('HDEL', hash, some[i]) end
  end
  redis.call('EXPIRE', hash, seconds)
  local subscribers
  if #won > 0 then
    subscribers = redis.call('SPUBLISH', channel, header .. table.concat(won))
  else
    subscribers = redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2]
  end
  return subscribers, table.concat(lost)
end

local answers = {}
for i = 1, #KEYS / 2 do
  local subscribers, lost = put(KEYS[2 * i - 1], KEYS[2 * i], ARGV[3 + i])
  answers[#answers + 1] = subscribers
  answers[#answers + 1] = lost
end
return answers
