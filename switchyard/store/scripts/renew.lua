-- ARGV: time, lease in seconds, call ids.
local lease = tonumber(ARGV[2])
for i = 3, #ARGV do
  local ends = redis.call('ZSCORE', base .. 'leases', ARGV[i])
  if ends and tonumber(ends) > now then
    redis.call('ZADD', base .. 'leases', string.format('%.17g', now + lease), ARGV[i])
  end
end
hold(lease)
