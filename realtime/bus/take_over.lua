-- Make a rider's dot the caller's: raise its generation and say where it was.
--
-- KEYS[1]  hash of the rider: generation, channels, policy, mover, node, connected, spoken  where:{rider:<n>}
-- ARGV[1]  seconds to keep it
-- ARGV[2]  what moves the dot from now on (a track's id); empty when it is only taken off the map
-- ARGV[3]  when to refuse: 'never', 'stale' (see below), 'later' (stale, or something moves it under a later generation
--          than ARGV[4], given to another node, unless for an older connection of the same phone), 'other' (what moves it is not ARGV[4]) or 'known' (where it is agrees
--          with the policy of version ARGV[9] or a newer one)
-- ARGV[4]  see ARGV[3]
-- ARGV[5]  the caller's node. A paused Redis carries out, when it wakes up, what the caller has given up: a later
--          generation that was given to the caller itself is no other node's.
-- ARGV[6]  when the phone connected to that node, in Redis' milliseconds; a time yet to come counts as now
-- ARGV[7]  when it spoke up for what is to move the dot
-- ARGV[8]  how far apart two of these times have to be before they say which came first, in milliseconds
-- ARGV[9]  the newest version of the rider's policy that the caller has heard of: written down while the dot is on no
--          channel, when no older policy can have put it there; `settle` says it of a dot that is shown
-- Answers  {generation, channels it was left on, separated by spaces; 1 if taken, 0 if refused}
--
-- Stale: the order in which commands arrive is not the order in which they were meant. The same mover goes with the
-- newest connection of its phone; otherwise the one that spoke up last moves the dot.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local previous = tonumber(redis.call('HGET', KEYS[1], 'generation') or '0')
local mover = redis.call('HGET', KEYS[1], 'mover') or ''
local channels = redis.call('HGET', KEYS[1], 'channels') or ''
local node = redis.call('HGET', KEYS[1], 'node') or ''
local connected = math.min(tonumber(ARGV[6]), now)
local spoken = math.min(tonumber(ARGV[7]), now)

local function kept(field)
  local at = tonumber(redis.call('HGET', KEYS[1], field) or '0')
  return at <= now and at or 0 -- Redis' clock was set back: that time says nothing
end

local policy = tonumber(redis.call('HGET', KEYS[1], 'policy') or '-1')

local function is_stale()
  if mover == ARGV[2] then
    return connected < kept('connected') - tonumber(ARGV[8])
  end
  return spoken < kept('spoken') - tonumber(ARGV[8])
end

local function is_newer_connection()
  return mover == ARGV[2] and connected > kept('connected') + tonumber(ARGV[8])
end

local function is_later()
  return mover ~= '' and previous > tonumber(ARGV[4]) and node ~= ARGV[5] and not is_newer_connection()
end

local refused = {
  never = function() return false end,
  stale = is_stale,
  later = function() return is_later() or (mover ~= '' and mover == ARGV[2] and is_stale()) end,
  other = function() return mover ~= ARGV[4] end,
  known = function() return policy >= tonumber(ARGV[9]) end,
}
if refused[ARGV[3]]() then
  return {previous, '', 0}
end
local generation = math.max(previous + 1, now)
redis.call(
  'HSET', KEYS[1], 'generation', string.format('%.0f', generation), 'mover', ARGV[2], 'node', ARGV[5],
  'connected', string.format('%.0f', connected), 'spoken', string.format('%.0f', math.max(spoken, kept('spoken')))
)
if channels == '' and policy < tonumber(ARGV[9]) then
  redis.call('HSET', KEYS[1], 'policy', ARGV[9])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return {generation, channels, 1}
