-- ARGV: time, name, number of the first segment. Returns the page, or nothing.
local one = named(ARGV[2])
return one and page(one, tonumber(ARGV[3])) or false
