-- ARGV: time, names as JSON (the first is claimed), kind, id, fingerprint, lease and ttl in seconds, 1 to be told of a
-- lost one. Returns the page of the recording that is there, or nothing if this one has begun.
local all, kind, id, fingerprint = cjson.decode(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local lease, ttl, report = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8] == '1'
local one = named(all[1])
if one and one.id == id and one.state == 'running' then -- asked again: its response was not received
  redis.call('HSET', one.key, 'lease_ends', text(now + lease), 'reported_to', '')
  return false
end
if one and state(one) == 'lost' then
  if not report or (one.reported_to ~= '' and one.reported_to ~= ':' .. id) then
    remove(one)
    one = nil
  else
    redis.call('HSET', one.key, 'reported_to', ':' .. id)
  end
end
if one then return page(one, 0) end

local key, keeps = base .. 'recording:' .. id, milliseconds(ttl)
if redis.call('EXISTS', key) == 1 then return 'used' end
redis.call('HSET', key, 'names', cmsgpack.pack(all), 'kind', kind, 'fingerprint', fingerprint, 'state', 'running',
  'kept', '', 'reported_to', '', 'began', text(now), 'lease_ends', text(now + lease), 'ends', text(now + ttl),
  'followed_until', '0', 'segments', '0', 'size', '0')
redis.call('PEXPIRE', key, keeps)
for _, name in ipairs(all) do redis.call('SET', base .. 'name:' .. name, id, 'PX', keeps) end
return false
