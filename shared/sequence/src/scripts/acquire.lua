-- KEYS: lease and token key of each customer in turn. ARGV: owner, lease ttl ms, token ttl ms.
-- Answers one entry per customer: the fencing token, or "" when another owner holds the lease.
-- A lease of our own that nobody here holds (its answer was lost, or its release is still on its way) is granted
-- anew with a new token: the old one can then neither be released nor pass the fence.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local mine = ARGV[1] .. ':'
local answers = {}
for i = 1, #KEYS, 2 do
    local held = redis.call('GET', KEYS[i])
    if held and string.sub(held, 1, #mine) ~= mine then
        answers[#answers + 1] = ''
    else
        -- Microseconds since 1970 stay below 2^53 until the year 2255, so a Lua number holds them exactly.
        local last = tonumber(redis.call('GET', KEYS[i + 1]) or '0')
        local token = string.format('%.0f', math.max(last + 1, now))
        redis.call('SET', KEYS[i], mine .. token, 'PX', ARGV[2])
        redis.call('SET', KEYS[i + 1], token, 'PX', ARGV[3])
        answers[#answers + 1] = token
    end
end
return answers
