-- Removes consumers that hold nothing: the given one, and those unheard of for long. Deleting one that still holds
-- entries would lose them, so the check and the deletion are one step.
-- KEYS[1]  the stream
-- ARGV[1]  the consumer group    ARGV[2]  a consumer to remove now, or ''    ARGV[3]  idle milliseconds for the others
-- Returns how many were removed.

local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers['err'] then return 0 end -- no stream, no group: nobody to remove

local removed = 0
for _, raw in ipairs(consumers) do
  local consumer = {}
  for i = 1, #raw, 2 do consumer[raw[i]] = raw[i + 1] end
  local due = consumer['name'] == ARGV[2] or consumer['idle'] > tonumber(ARGV[3])
  if due and consumer['pending'] == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer['name'])
    removed = removed + 1
  end
end
return removed
