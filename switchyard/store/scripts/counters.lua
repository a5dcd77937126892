-- Stands before each script that counts. KEYS[1] begins the names of all keys of an owner and holds its hash tag:
--   counter:<name>  what was taken: pairs of a part and an amount, as switchyard/store/counters.py has them, or the end
--                   of a period and its amount; Redis forgets it when it is over
--   held            hash: what is held at once, by counter
--   open, leases    hash: what a call has taken; sorted set: when its lease ends
-- ARGV[1] is the time in seconds since 1970, or empty for Redis's own.
local base = KEYS[1]
local PARTS, DAY, ENDED_AT_ONCE = 60, 86400, 64

local function text(number) return string.format('%.0f', number) end

local function time()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local parts = redis.call('TIME')
  return tonumber(parts[1]) + tonumber(parts[2]) / 1000000
end
local now = time()

local function rolling(counter, pairs_of_parts)
  local seconds = counter.seconds
  local part = math.floor(now * PARTS / seconds)
  local newest = pairs_of_parts[#pairs_of_parts - 1]
  if newest and newest > part then -- the clock was set back
    if newest - part <= PARTS then part = newest else pairs_of_parts = {} end
  end
  local kept, used = {}, 0
  for i = 1, #pairs_of_parts, 2 do
    if pairs_of_parts[i] >= part - PARTS then
      kept[#kept + 1], kept[#kept + 2] = pairs_of_parts[i], pairs_of_parts[i + 1]
      used = used + pairs_of_parts[i + 1]
    end
  end
  counter.parts, counter.part, counter.used = kept, part, used
end

local function read(name, ends)
  local counter = {name = name, part = 0, used = 0, ends = ends, held = string.sub(name, 1, 5) == 'held:'}
  if counter.held then
    counter.used = tonumber(redis.call('HGET', base .. 'held', name) or 0)
    return counter
  end
  local stored = redis.call('GET', base .. 'counter:' .. name)
  local values = stored and cmsgpack.unpack(stored) or {}
  counter.seconds = tonumber(string.match(name, '^(%d+):'))
  if counter.seconds then
    rolling(counter, values)
  elseif values[1] and values[1] > now then
    counter.used = values[2]
    if not ends then counter.ends = values[1] end
  end
  return counter
end

local function left_at(counter, part) return (part + PARTS + 1) * counter.seconds / PARTS end

local function take(counter, amount, part)
  local parts = counter.parts
  if not parts then -- what is given back may be of a period that is over
    counter.used = math.max(0, counter.used + amount)
    return
  end
  local place
  for i = #parts - 1, 1, -2 do
    if parts[i] == part then place = i end
  end
  if not place then
    if part ~= counter.part then return end -- it has left the window
    place = #parts + 1
    parts[place], parts[place + 1] = part, 0
  end
  parts[place + 1] = parts[place + 1] + amount
  counter.used = counter.used + amount
end

local function write(counter)
  if counter.held then
    if counter.used == 0 then
      redis.call('HDEL', base .. 'held', counter.name)
    else
      redis.call('HSET', base .. 'held', counter.name, text(counter.used))
    end
    return
  end
  local ends, values = counter.ends or 0, {counter.ends, counter.used}
  if counter.parts then
    local newest = counter.parts[#counter.parts - 1]
    ends, values = newest and left_at(counter, newest) or 0, counter.parts
  end
  local key = base .. 'counter:' .. counter.name
  if ends > now then
    redis.call('SET', key, cmsgpack.pack(values), 'PX', text(math.ceil((ends - now) * 1000)))
  else
    redis.call('DEL', key)
  end
end

local function give_back(taken) -- a list of names, amounts and parts in turn
  for i = 1, #taken, 3 do
    local counter = read(taken[i])
    take(counter, -taken[i + 1], taken[i + 2])
    write(counter)
  end
end

local function close(call) -- ends a reservation; returns what it took, and when its lease ends
  local taken = redis.call('HGET', base .. 'open', call)
  if not taken then return {}, 0 end
  local ends = tonumber(redis.call('ZSCORE', base .. 'leases', call) or 0)
  redis.call('HDEL', base .. 'open', call)
  redis.call('ZREM', base .. 'leases', call)
  return cmsgpack.unpack(taken), ends
end

local function end_leases()
  local last = string.format('%.17g', now)
  for _, call in ipairs(redis.call('ZRANGEBYSCORE', base .. 'leases', '-inf', last, 'LIMIT', 0, ENDED_AT_ONCE)) do
    local taken = close(call)
    give_back(taken)
  end
end

local function hold(lease) -- an owner that is gone leaves nothing behind
  for _, name in ipairs({'open', 'leases', 'held'}) do
    redis.call('PEXPIRE', base .. name, text(math.ceil((lease + DAY) * 1000)))
  end
end

-- A claim is [name, amount, limit, end of its period or 0, whether it is enforced].
local function fits(counter, claim) return counter.used + claim[2] <= claim[3] end

local function free_in(counter, claim)
  if counter.held or fits(counter, claim) then return 0 end
  if not counter.parts then return math.max(0, counter.ends - now) end
  local excess = counter.used + claim[2] - claim[3]
  for i = 1, #counter.parts, 2 do
    excess = excess - counter.parts[i + 1]
    if excess <= 0 then return math.max(0, left_at(counter, counter.parts[i]) - now) end
  end
  return counter.seconds
end

local function levels(first, counters, claims) -- one text: parsed at less cost than nested lists
  local words = {first}
  for i, claim in ipairs(claims) do
    words[#words + 1] = text(counters[i].used)
    words[#words + 1] = string.format('%.6f', free_in(counters[i], claim))
  end
  return table.concat(words, ' ')
end
