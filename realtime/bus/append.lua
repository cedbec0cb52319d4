#!lua
-- Append entries to a stream, all or none, unless that would take it over its limit. Refused as a whole when Redis is
-- out of memory (the first line).
--
-- KEYS[1]   the stream
-- KEYS[2]   the mark that says that appends wait for a replica; its slot is the stream's
-- ARGV[1]   limit in bytes
-- ARGV[2]   name of the field
-- ARGV[3..] entries
-- Answers   {1 if appended, 0 if refused; bytes in the stream; 1 if there is a replica, or was and is missed, else 0}
--
-- Each entry also carries the total of bytes appended up to and with it, so that the size is known from the first and
-- the last entry. (MEMORY USAGE guesses from the first nodes of a long stream, or reads all of it.) What Redis adds
-- for itself is counted as a flat sum for each entry.

local TOTAL = 'total'
local OVERHEAD = 256

local function weight(entry)
  return #entry + OVERHEAD
end

local function fields_of(entries)
  local fields = {}
  if #entries > 0 then
    local list = entries[1][2]
    for i = 1, #list, 2 do fields[list[i]] = list[i + 1] end
  end
  return fields
end

local limit = tonumber(ARGV[1])
local first = fields_of(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1))
local last = fields_of(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1))
local total = tonumber(last[TOTAL] or '0')
local used = 0
if first[TOTAL] then
  used = total - tonumber(first[TOTAL]) + weight(first[ARGV[2]])
elseif last[ARGV[2]] then
  used = redis.call('MEMORY', 'USAGE', KEYS[1]) -- begun by something else
end

local replicas = tonumber(string.match(redis.call('INFO', 'replication'), 'connected_slaves:(%d+)') or '0')
local replicated = (replicas > 0 or redis.call('EXISTS', KEYS[2]) == 1) and 1 or 0
local more = 0
for i = 3, #ARGV do
  more = more + weight(ARGV[i])
end
if used + more > limit then
  return {0, used, replicated}
end
for i = 3, #ARGV do
  total = total + weight(ARGV[i])
  redis.call('XADD', KEYS[1], '*', ARGV[2], ARGV[i], TOTAL, string.format('%.0f', total))
end
return {1, used + more, replicated}
