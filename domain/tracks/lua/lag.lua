-- What of the track stream is not stored yet, seen at one moment.
-- KEYS[1]  the stream
-- ARGV[1]  the consumer group of the writers
-- Returns {entries waiting, of these handed to a worker, id of the oldest one or '', the time of Redis in ms}.

local function pairs_of(list)
  local map = {}
  for i = 1, #list, 2 do map[list[i]] = list[i + 1] end
  return map
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 0 then return {0, 0, '', now} end

local last, pending, lag = '-', 0, false
for _, raw in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = pairs_of(raw)
  if group['name'] == ARGV[1] then
    last, pending, lag = '(' .. group['last-delivered-id'], group['pending'], group['lag']
  end
end

-- Redis does not always know the lag (after a deletion, or without a group): then the length is the upper bound.
local first = redis.call('XRANGE', KEYS[1], last, '+', 'COUNT', 1)
local undelivered = 0
if #first > 0 then
  undelivered = math.max(1, lag or redis.call('XLEN', KEYS[1]))
end

local oldest = ''
if pending > 0 then
  oldest = redis.call('XPENDING', KEYS[1], ARGV[1])[2]
elseif #first > 0 then
  oldest = first[1][1]
end
return {undelivered + pending, pending, oldest, now}
