-- ARGV: time, call id, claims, and of a call with an entry: dimensions, amounts, row. Returns nothing if the call was
-- settled before; else 1 if its owner has one row now, or 0, and the levels.
--   settled:<call id>         the call was settled
--   rows                      stream of rows
--   totals:<width>:<start>    hash: amounts by dimensions
--   starts:<width>            sorted set: the starts that have totals
local call, claims = ARGV[2], cjson.decode(ARGV[3])
if not redis.call('SET', base .. 'settled:' .. call, '', 'NX', 'EX', DAY) then return false end

local taken, ends = close(call)
local counters, named = {}, {}
if ends <= now then
  give_back(taken)
  taken = {}
end
for i, claim in ipairs(claims) do
  counters[i] = read(claim[1], claim[4])
  named[claim[1]] = {counter = counters[i], part = counters[i].part}
end
local others = {}
for i = 1, #taken, 3 do
  local found = named[taken[i]]
  if found then
    take(found.counter, -taken[i + 1], taken[i + 2])
    found.part = taken[i + 2]
  else
    others[#others + 1], others[#others + 2], others[#others + 3] = taken[i], taken[i + 1], taken[i + 2]
  end
end
for i, claim in ipairs(claims) do
  if not counters[i].held then take(counters[i], claim[2], named[claim[1]].part) end
  write(counters[i])
end
give_back(others)

local function add(width, dimensions, amounts)
  local start = text(math.floor(now / width) * width)
  local key, index = base .. 'totals:' .. width .. ':' .. start, base .. 'starts:' .. width
  local numbers, i = {}, 0
  for number in string.gmatch(redis.call('HGET', key, dimensions) or '', '%S+') do
    numbers[#numbers + 1] = tonumber(number)
  end
  for number in string.gmatch(amounts, '%S+') do
    i = i + 1
    numbers[i] = (numbers[i] or 0) + tonumber(number)
  end
  for place, number in ipairs(numbers) do numbers[place] = text(number) end
  if redis.call('HSET', key, dimensions, table.concat(numbers, ' ')) == 0 then return end
  redis.call('ZADD', index, start, start)
  if width > 60 then return end
  redis.call('EXPIRE', key, 2 * DAY + width)
  redis.call('EXPIRE', index, 2 * DAY + width)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', text(now - 2 * DAY - width))
end

local first = 0
if ARGV[4] then
  local id = ARGV[1] == '' and '*' or text(math.floor(now * 1000)) .. '-*'
  redis.call('XADD', base .. 'rows', id, 'row', ARGV[6])
  if redis.call('XLEN', base .. 'rows') == 1 then first = 1 end
  for _, width in ipairs({60, 3600, DAY}) do add(width, ARGV[4], ARGV[5]) end
end
return levels(first, counters, claims)
