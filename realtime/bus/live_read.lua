-- Read the rows of a channel that are young enough, and forget the others.
--
-- KEYS[1]  hash of the channel, rider -> row              live:{<channel>}
-- ARGV[1]  the oldest time wanted, milliseconds since the epoch
-- Answers  the rows, one after another
--
-- The time is at bytes 18 to 25 of a row, big-endian.

local oldest = tonumber(ARGV[1])
local young, old = {}, {}
local pairs_of = redis.call('HGETALL', KEYS[1])
for i = 1, #pairs_of, 2 do
  local row = pairs_of[i + 1]
  if struct.unpack('>I8', row, 18) >= oldest then
    young[#young + 1] = row
  else
    old[#old + 1] = pairs_of[i]
  end
end
for i = 1, #old do
  redis.call('HDEL', KEYS[1], old[i])
end
return table.concat(young)
