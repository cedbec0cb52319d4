-- Removes what every consumer group has acknowledged, and nothing else.
-- KEYS[1]  the stream
-- Returns how many entries went.

local function pairs_of(list)
  local map = {}
  for i = 1, #list, 2 do map[list[i]] = list[i + 1] end
  return map
end

local function parts(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

local function before(a, b)
  local ams, aseq = parts(a)
  local bms, bseq = parts(b)
  return ams < bms or (ams == bms and aseq < bseq)
end

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end

-- The lowest id that some group still needs: its oldest unacknowledged entry, or what follows its last delivered one.
local keep_from = nil
for _, raw in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = pairs_of(raw)
  local from
  if group['pending'] > 0 then
    from = redis.call('XPENDING', KEYS[1], group['name'])[2]
  else
    local ms, seq = parts(group['last-delivered-id'])
    from = string.format('%.0f-%.0f', ms, seq + 1)
  end
  if keep_from == nil or before(from, keep_from) then keep_from = from end
end

if keep_from == nil then return 0 end
return redis.call('XTRIM', KEYS[1], 'MINID', '=', keep_from)
