-- ARGV: time, id, number, segment, "complete" or "failed", ttl in seconds, how many recordings and bytes may be kept.
-- Returns nothing; "superseded", or "next" and the number that the segment should have.
local EVICTED_AT_ONCE = 256 -- recordings that make room for one
local ENDED_AT_ONCE = 2 -- that one which is kept forgets for others: more than it adds
local ended, ttl, most, bytes = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local one = live(ARGV[2])
if not one or (one.state ~= 'running' and one.state ~= ended) then return 'superseded' end
if one.state == ended then return false end -- asked again: its response was not received
if not add(one, tonumber(ARGV[3]), ARGV[4]) then return 'next ' .. text(one.segments) end

local kept, sizes = base .. 'kept:' .. one.kind, base .. 'sizes'

-- Forget what ends first until it can be kept; return whether it can.
local function make_room()
  if one.size > bytes or most < 1 then return false end
  local count, held = redis.call('ZCARD', kept), tonumber(redis.call('HGET', sizes, one.kind) or 0)
  if count == 0 and held ~= 0 then -- Redis has forgotten the sorted set, as all in it was over
    redis.call('HDEL', sizes, one.kind)
    held = 0
  end
  for evicted = 0, EVICTED_AT_ONCE - 1 do
    local fits = count < most and held + one.size <= bytes
    local first = redis.call('ZRANGE', kept, 0, 0, 'WITHSCORES')
    if not first[1] or (fits and (tonumber(first[2]) > now or evicted == ENDED_AT_ONCE)) then return fits end
    count, held = count - 1, held - drop(one.kind, first[1])
  end
  return false
end

local function expire(key, milliseconds_at_least)
  if redis.call('PTTL', key) < tonumber(milliseconds_at_least) then
    redis.call('PEXPIRE', key, milliseconds_at_least)
  end
end

if ended == 'complete' and make_room() then
  local ends, keeps = now + ttl, milliseconds(ttl)
  redis.call('HSET', one.key, 'state', ended, 'kept', '1', 'ends', text(ends), 'segments', text(one.segments), 'size',
    text(one.size))
  redis.call('PEXPIRE', one.key, keeps)
  for _, key in ipairs(names(one)) do redis.call('PEXPIRE', key, keeps) end
  redis.call('ZADD', kept, text(ends), member(one))
  redis.call('HINCRBY', sizes, one.kind, text(one.size))
  expire(kept, keeps)
  expire(sizes, keeps)
else
  unname(one)
  redis.call('HSET', one.key, 'state', ended, 'names', cmsgpack.pack({}), 'ends', text(now + AFTER_SECONDS),
    'segments', text(one.segments), 'size', text(one.size))
  redis.call('PEXPIRE', one.key, milliseconds(AFTER_SECONDS))
end
return false
