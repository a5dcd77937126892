-- KEYS: revision, epoch, values, changes, touched. ARGV: the new epoch, then names.
local removed = 0
for i = 2, #ARGV do
  removed = removed + redis.call('ZREM', KEYS[4], ARGV[i])
  redis.call('HDEL', KEYS[3], ARGV[i])
  redis.call('ZREM', KEYS[5], ARGV[i])
end
if removed > 0 then redis.call('SET', KEYS[2], ARGV[1]) end
return removed
