-- What all nodes should know: the version, the hosts in trouble, and the modes in force with what is
-- left of each. It writes nothing.
local version, live, modes = KEYS[1], KEYS[2], KEYS[3]
local most = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local set, all = {}, redis.call('HGETALL', modes)
for n = 1, math.min(#all, 2 * most), 2 do
	local ends, what = string.match(all[n + 1], '^(%d+) (.*)$')
	ends = tonumber(ends or 0)
	if ends > now and ends < 9e15 then set[#set + 1] = {all[n], ends - now, what} end
end
return {
	tostring(redis.call('GET', version) or '0'),
	redis.call('ZRANGEBYSCORE', live, now, '+inf', 'LIMIT', 0, most),
	set,
}
