-- ARGV: time, id, number, segment, lease in seconds. Returns 1 if somebody follows, else 0; "superseded", or "next" and
-- the number that the segment should have.
local one = live(ARGV[2])
if not one or one.state ~= 'running' then return 'superseded' end
if not add(one, tonumber(ARGV[3]), ARGV[4]) then return 'next ' .. text(one.segments) end
redis.call('HSET', one.key, 'lease_ends', text(now + tonumber(ARGV[5])), 'reported_to', '', 'segments',
  text(one.segments), 'size', text(one.size))
return one.followed_until > now and '1' or '0'
