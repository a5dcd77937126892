-- KEYS[1]: as in counters.lua. ARGV: before, how many starts of each width at most. Returns whether there are more.
local base, before, most, more = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), 0
redis.call('XTRIM', base .. 'rows', 'MINID', string.format('%.0f', before * 1000))
for _, width in ipairs({60, 3600, 86400}) do
  local index = base .. 'starts:' .. width
  local starts = redis.call('ZRANGEBYSCORE', index, '-inf', string.format('%.0f', before - width), 'LIMIT', 0, most)
  for _, start in ipairs(starts) do
    redis.call('DEL', base .. 'totals:' .. width .. ':' .. start)
    redis.call('ZREM', index, start)
  end
  if #starts == most then more = 1 end
end
return more
