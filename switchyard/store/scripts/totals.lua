-- KEYS[1]: as in counters.lua. ARGV: since, until, width, how many starts at most. Returns (start, its hash) pairs.
local found = {}
local starts = redis.call('ZRANGEBYSCORE', KEYS[1] .. 'starts:' .. ARGV[3], ARGV[1], '(' .. ARGV[2], 'LIMIT', 0, ARGV[4])
for i, start in ipairs(starts) do
  found[i] = {start, redis.call('HGETALL', KEYS[1] .. 'totals:' .. ARGV[3] .. ':' .. start)}
end
return found
