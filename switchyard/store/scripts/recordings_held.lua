-- ARGV: time. Returns by kind how many recordings there are, and their bytes, as JSON.
local held = {}
for _, kind in ipairs(redis.call('HKEYS', base .. 'sizes')) do
  local size, members = 0, redis.call('ZRANGEBYSCORE', base .. 'kept:' .. kind, '(' .. text(now), '+inf')
  for _, one in ipairs(members) do size = size + tonumber(string.match(one, '^%d+')) end
  if #members > 0 then held[#held + 1] = {kind, #members, size} end
end
return #held > 0 and cjson.encode(held) or false
