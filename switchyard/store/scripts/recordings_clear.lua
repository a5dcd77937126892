-- ARGV: time, kind, how many at most. Returns how many were forgotten, and how many of them were not over.
local live_ones = 0
local first = redis.call('ZRANGE', base .. 'kept:' .. ARGV[2], 0, tonumber(ARGV[3]) - 1, 'WITHSCORES')
for i = 1, #first, 2 do
  if tonumber(first[i + 1]) > now then live_ones = live_ones + 1 end
  drop(ARGV[2], first[i])
end
return text(#first / 2) .. ' ' .. text(live_ones)
