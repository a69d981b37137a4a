-- One node's report on one host, and the fleet's verdict. It does what host.report of package
-- fleet does; a test compares the two. All times are of this server, in milliseconds. The
-- protocol's constants stand in front of this text.
local incident, bad, good, quiet, live, version = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local node, opinion, ttl, rejected, rate = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local probe, round = ARGV[6], tonumber(ARGV[7])
local min, quorum, most = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local host, channel, known = ARGV[11], ARGV[12], tonumber(ARGV[13])
local NONE, GOOD, BAD = '0', '1', '2'

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function tell(kind)
	redis.call('INCR', version)
	redis.call('PEXPIRE', version, 7 * 24 * 3600 * 1000)
	redis.pcall('PUBLISH', channel, kind .. ' ' .. host) -- may be forbidden; then the others poll
end

local function forget()
	redis.call('DEL', incident, bad, good, quiet)
	redis.call('ZREM', live, host)
end

-- What is kept of the host. Whoever else writes there may have left anything.
local names = {'since', 'asked', 'id', 'opened', 'round', 'level', 'began', 'due', 'rejected', 'lease', 'leased', 'min', 'quorum', 'most'}
local texts = redis.call('HMGET', incident, 'goodby', 'last', unpack(names))
local goodby, last = texts[1] or '', texts[2] or ''
local h = {}
for n, name in ipairs(names) do
	local v = tonumber(texts[n + 2] or 0) or 0
	if v ~= v or v < 0 or v > 9e15 then v = 0 end
	h[name] = v
end
if known ~= 0 and known ~= h.id then opinion, probe = NONE, NONE end -- of an incident that is over
if h.since == 0 then
	if opinion ~= BAD then return {0, 0, 0, 0, 0, 0, 0, 0, 0} end
	if redis.call('ZCOUNT', live, now, '+inf') >= maxHosts then return {0, 0, 0, 0, 0, 0, 0, 0, 0} end
	h.since = now
end
h.min, h.quorum = math.max(h.min, min), math.max(h.quorum, quorum)
if h.most == 0 or most < h.most then h.most = most end

local votes = {[NONE] = quiet, [GOOD] = good, [BAD] = bad}
local count = {}
redis.call('ZADD', votes[opinion], now + ttl, node) -- first: a full server refuses this, and nothing after a first write
for o, key in pairs(votes) do
	if o ~= opinion then redis.call('ZREM', key, node) end
	redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
	count[o] = redis.call('ZCARD', key)
end
local nodes = count[BAD] + count[GOOD] + count[NONE]
local agreed = count[BAD] >= h.min and count[BAD] * 1e6 >= h.quorum * (count[BAD] + count[GOOD])
if count[BAD] == 0 and h.id == 0 then
	forget()
	return {0, 0, 0, 0, 0, 0, 0, 0, 0}
end

-- wait is how long after a failed probe the next one is due.
local function wait()
	local longest = math.min(openFor * 2 ^ math.min(h.level, 40), h.most)
	local w = longest
	if h.rejected > 0 then
		local need = math.min(mostCalls, first * growth ^ math.min(h.level, 40))
		w = math.min(w, (now - h.began) * need / h.rejected)
	end
	return math.floor(math.min(longest, math.max(w, soonest, (now - h.opened) / ageShare)))
end

local lease = 0
if h.id == 0 then
	if now - h.since >= doubt and agreed then
		h.id, h.opened, h.round, h.level, h.rejected = now, now, 0, 0, 0
		h.began, h.due, goodby, last, h.lease = now, now + soonest, '', '', 0
		tell('o')
	elseif count[BAD] >= 2 and (h.asked == 0 or now - h.asked >= askAgain) then
		h.asked = now
		tell('s')
	end
else
	h.rejected = h.rejected + rejected
	local over = false
	if probe ~= NONE and round == h.round then
		h.round = h.round + 1
		last, h.lease, h.leased = node, 0, 0
		if probe == GOOD then
			over = nodes < large or goodby ~= '' and goodby ~= node
			goodby, h.due = node, now
		else
			h.level, goodby = h.level + 1, ''
			h.due = now + wait()
			h.began, h.rejected = now, 0
		end
	end
	if over or count[GOOD] > 0 and not agreed then
		forget()
		tell('c')
		return {0, 0, 0, 0, 0, 0, 0, 0, 0}
	end
end
if h.id ~= 0 and rate > 0 and now >= h.due and not (node == last and nodes > 1 and now < h.due + leaseFor) then
	if now >= h.lease then h.lease, h.leased = now + leaseFor, 0 end
	if h.leased < leaseRate then
		h.leased = h.leased + rate
		lease = h.lease - now
	end
end

local fields = {'goodby', goodby, 'last', last}
for _, name in ipairs(names) do
	fields[#fields + 1] = name
	fields[#fields + 1] = string.format('%.0f', h[name])
end
redis.call('HSET', incident, unpack(fields))
for _, key in ipairs({incident, bad, good, quiet, live}) do redis.call('PEXPIRE', key, keepFor) end
redis.call('ZREMRANGEBYSCORE', live, '-inf', now)
redis.call('ZADD', live, now + keepFor, host)
local due = 0
if h.id ~= 0 then due = h.due - now end
return {h.id, 1, now - h.since, count[BAD], count[GOOD], count[NONE], h.round, due, lease}
