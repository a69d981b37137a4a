-- Sets a mode of the fleet, or takes it back if there is nothing to set. A command that comes after
-- the caller has given up, as from a server that was frozen, is refused.
local modes, version = KEYS[1], KEYS[2]
local key, what, ttl, channel, most, longest = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local deadline = tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > deadline then return redis.error_reply('ERR too late') end
local last, count, all = 0, 0, redis.call('HGETALL', modes)
for n = 1, #all, 2 do
	local ends = tonumber(string.match(all[n + 1], '^(%d+) ') or 0)
	if ends <= now or ends > now + longest then
		redis.call('HDEL', modes, all[n])
	elseif all[n] ~= key then
		last, count = math.max(last, ends), count + 1
	end
end
if what == '' then
	redis.call('HDEL', modes, key)
elseif count >= most then
	return redis.error_reply('ERR the fleet has ' .. count .. ' modes already')
else
	redis.call('HSET', modes, key, string.format('%.0f %s', now + ttl, what))
	last = math.max(last, now + ttl)
end
if last > 0 then redis.call('PEXPIREAT', modes, string.format('%.0f', last)) end
redis.call('INCR', version)
redis.call('PEXPIRE', version, 7 * 24 * 3600 * 1000)
redis.pcall('PUBLISH', channel, 'm')
return 1
