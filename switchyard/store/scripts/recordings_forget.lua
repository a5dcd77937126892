-- ARGV: time, name. Returns 1, or 0 if there was none.
local one = named(ARGV[2])
if one then remove(one) end
return one and 1 or 0
