-- ARGV: time, id, number of the first segment. Returns the page, or nothing.
local one = live(ARGV[2])
if not one then return false end
-- Written when half of its time is over: many look several times a second.
if one.state == 'running' and one.followed_until < now + FOLLOWED_SECONDS / 2 then
  redis.call('HSET', one.key, 'followed_until', text(now + FOLLOWED_SECONDS))
end
return page(one, tonumber(ARGV[3]))
