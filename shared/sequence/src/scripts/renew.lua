-- KEYS: lease keys. ARGV: lease ttl ms, then the value that each lease must still have.
-- Answers 1 for each that was extended, 0 for each that is no longer ours.
local answers = {}
for i = 1, #KEYS do
    if redis.call('GET', KEYS[i]) == ARGV[i + 1] then
        redis.call('PEXPIRE', KEYS[i], ARGV[1])
        answers[i] = 1
    else
        answers[i] = 0
    end
end
return answers
