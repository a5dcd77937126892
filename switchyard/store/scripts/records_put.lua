-- KEYS: revision, epoch, values, changes. ARGV: name, value, expected revision, an epoch for the first. Returns the
-- record's new revision, 0 if it has another.
local stored = tonumber(redis.call('ZSCORE', KEYS[4], ARGV[1]) or '0')
if stored > 0 and redis.call('HGET', KEYS[3], ARGV[1]) == ARGV[2] then return stored end
if stored ~= tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[2], ARGV[4], 'NX')
local revision = redis.call('INCR', KEYS[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[4], revision, ARGV[1])
return revision
