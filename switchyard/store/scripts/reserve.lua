-- ARGV: time, call id, lease in seconds, claims. Returns the number of the claim that is denied, or 0, and the levels.
local call, lease, claims = ARGV[2], tonumber(ARGV[3]), cjson.decode(ARGV[4])
end_leases()
local counters, denied, latest = {}, 0, -1
for i, claim in ipairs(claims) do
  counters[i] = read(claim[1], claim[4])
  if claim[5] and not fits(counters[i], claim) then
    local free = free_in(counters[i], claim)
    if free > latest then denied, latest = i, free end
  end
end
if redis.call('HEXISTS', base .. 'open', call) == 1 then return levels(0, counters, claims) end
if denied > 0 then return levels(denied, counters, claims) end
local taken = {}
for i, claim in ipairs(claims) do
  taken[#taken + 1], taken[#taken + 2], taken[#taken + 3] = claim[1], claim[2], counters[i].part
  take(counters[i], claim[2], counters[i].part)
  write(counters[i])
end
redis.call('HSET', base .. 'open', call, cmsgpack.pack(taken))
redis.call('ZADD', base .. 'leases', string.format('%.17g', now + lease), call)
hold(lease)
return levels(0, counters, claims)
