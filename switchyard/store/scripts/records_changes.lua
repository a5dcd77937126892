-- KEYS: revision, epoch, values, changes. ARGV: after which revision, how many at most. Returns the revision and the
-- epoch, then name, revision and value of each record.
local epoch = redis.call('GET', KEYS[2]) or ''
-- A server that was started from an older snapshot, or a replica that took over before it had every write, gives the
-- revisions of lost writes to others. Its run id, which no two starts share, makes it another epoch.
if epoch ~= '' then epoch = epoch .. ':' .. (string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or '') end
local found = {redis.call('GET', KEYS[1]) or '0', epoch}
local changes = redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = 1, #changes, 2 do
  found[#found + 1] = changes[i]
  found[#found + 1] = changes[i + 1]
  found[#found + 1] = redis.call('HGET', KEYS[3], changes[i])
end
return found
