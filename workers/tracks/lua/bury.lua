#!lua
-- Moves what could not be stored to the dead letters and acknowledges its entries, in one step: each letter is written
-- once, even when two workers worked on the same entry. Refused as a whole when Redis is out of memory (the first line).
-- KEYS[1]  the stream                 KEYS[2]  the stream of dead letters
-- ARGV[1]  the consumer group         then for each letter: entry id, reason, detail, record
-- Returns how many letters were written.

local waiting, written = {}, 0
for i = 2, #ARGV, 4 do
  local id = ARGV[i]
  if waiting[id] == nil then
    waiting[id] = #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1) > 0
  end
  if waiting[id] then
    redis.call('XADD', KEYS[2], '*', 'entry', id, 'reason', ARGV[i + 1], 'detail', ARGV[i + 2], 'record', ARGV[i + 3])
    written = written + 1
  end
end
for id, is_waiting in pairs(waiting) do
  if is_waiting then redis.call('XACK', KEYS[1], ARGV[1], id) end
end
return written
