-- Stands before each script of recordings. KEYS[1] begins the names of all keys of a scope and holds its hash tag:
--   name:<name>     the id of the recording to which the name leads
--   recording:<id>  hash: what is known of a recording, and its segments by their numbers
--   kept:<kind>     sorted set: "<size> <id>" of complete recordings, by when they end
--   sizes           hash: how many bytes those have, by kind
-- Redis forgets each key when it is over; scripts go by `ends`, as the clock may be another one.
-- ARGV[1] is the time in seconds since 1970, or empty for Redis's own.
local base = KEYS[1]
local INLINE_BYTES, AFTER_SECONDS, FOLLOWED_SECONDS = 128 * 1024, 10, 5
local TEXTS = {'names', 'kind', 'fingerprint', 'state', 'kept', 'reported_to'}
local NUMBERS = {'began', 'lease_ends', 'ends', 'followed_until', 'segments', 'size'}

local function time()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local parts = redis.call('TIME')
  return tonumber(parts[1]) + tonumber(parts[2]) / 1000000
end
local now = time()

local function text(number) return string.format('%.17g', number) end

local function milliseconds(seconds) return text(math.max(1, math.ceil(seconds * 1000))) end

local function read(id)
  local one = {id = id, key = base .. 'recording:' .. id}
  local texts = redis.call('HMGET', one.key, unpack(TEXTS))
  if not texts[1] then return nil end
  for i, field in ipairs(TEXTS) do one[field] = texts[i] end
  local numbers = redis.call('HMGET', one.key, unpack(NUMBERS))
  for i, field in ipairs(NUMBERS) do one[field] = tonumber(numbers[i]) end
  return one
end

local function live(id)
  local one = id and read(id)
  return one and one.ends > now and one or nil
end

local function named(name) return live(redis.call('GET', base .. 'name:' .. name)) end

local function state(one)
  if one.state == 'running' and one.lease_ends <= now then return 'lost' end
  return one.state
end

-- The keys of the names that lead to it.
local function names(one)
  local keys = {}
  for _, name in ipairs(cmsgpack.unpack(one.names)) do
    local key = base .. 'name:' .. name
    if redis.call('GET', key) == one.id then keys[#keys + 1] = key end
  end
  return keys
end

local function unname(one)
  for _, key in ipairs(names(one)) do redis.call('DEL', key) end
end

-- Forget a complete recording, by what the sorted set has of it; Redis may have forgotten the rest.
local function drop(kind, member)
  local size, id = string.match(member, '^(%d+) (.*)$')
  local one = read(id)
  if one then
    unname(one)
    redis.call('UNLINK', one.key)
  end
  redis.call('ZREM', base .. 'kept:' .. kind, member)
  if size ~= '0' then redis.call('HINCRBY', base .. 'sizes', kind, '-' .. size) end -- Redis takes no -0
  return tonumber(size)
end

local function member(one) return text(one.size) .. ' ' .. one.id end

local function remove(one)
  if one.kept == '1' then
    drop(one.kind, member(one))
  else
    unname(one)
    redis.call('UNLINK', one.key)
  end
end

-- Add a segment, unless it is there; return false if it is not the next one.
local function add(one, number, segment)
  if segment == '' or number < one.segments then return true end
  if number > one.segments then return false end
  redis.call('HSET', one.key, text(number), segment)
  one.segments, one.size = one.segments + 1, one.size + #segment
  return true
end

-- What is known of a recording in one line, then its id, its fingerprint and those of its segments that come with it.
local function page(one, after)
  local segments, lengths, size = {}, {}, 0
  for number = after, one.segments - 1 do
    local segment = redis.call('HGET', one.key, text(number))
    size = size + #segment
    if #segments > 0 and size > INLINE_BYTES then break end
    segments[#segments + 1], lengths[#lengths + 1] = segment, #segment
  end
  local known = {
    state(one), text(now - one.began), text(one.ends - now), text(one.segments), text(one.size), #one.id,
    #one.fingerprint, table.concat(lengths, ' '),
  }
  return table.concat(known, ' ') .. '\n' .. one.id .. one.fingerprint .. table.concat(segments)
end
