-- KEYS: lease keys. ARGV: the value that each lease must still have. Answers how many were released.
local released = 0
for i = 1, #KEYS do
    if redis.call('GET', KEYS[i]) == ARGV[i] then
        redis.call('DEL', KEYS[i])
        released = released + 1
    end
end
return released
