// Package breakerredis lets the processes of a service share, through Redis or
// Valkey, what their circuit breakers learn: that a host is down, and that it is
// back. A thousand processes then find out together, send it one probe instead
// of a thousand, and come back without a herd.
//
//	transport := httpbreaker.New(nil)
//	client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"redis:6379"}})
//	sharing, err := breakerredis.New(client, transport.Breakers(), &breakerredis.Options{Fleet: "checkout"})
//	if err != nil {
//		return err
//	}
//	defer sharing.Close()
//
// Package fleet, below this one, has the protocol, the switches for operators
// and the status. No call ever waits for Redis: while it is down, slow, frozen,
// full or forbidden, each process is what it is alone. The project's
// docs/fleet.md says when sharing pays, and when not.
//
// # Connections
//
// New takes a [*redis.Client], with Sentinel or not, or a [*redis.ClusterClient], and
// makes a client of its own with the same options: two connections for each
// process, with short timeouts, apart from the pool of the application. Hooks of
// the given client are not taken over.
//
// # What it needs
//
// Redis 5 or later, or any Valkey. All keys begin with "hb1:{fleet}:", so that they
// lie in one slot of a Cluster, and all of them expire. Nothing in them is worth
// a backup; Redis may evict or lose them at any time.
//
//	hb1:{fleet}:i:KEY  hash  the incident of one host, 2 minutes
//	hb1:{fleet}:b:KEY  zset  nodes that find it bad, 2 minutes
//	hb1:{fleet}:g:KEY  zset  nodes that find it good, 2 minutes
//	hb1:{fleet}:q:KEY  zset  nodes without an opinion, 2 minutes
//	hb1:{fleet}:live   zset  hosts that somebody finds bad, 2 minutes
//	hb1:{fleet}:modes  hash  modes set by operators, until the last one ends
//	hb1:{fleet}:v      text  a number that grows with each change, 7 days
//	hb1:{fleet}:e      channel
//
// A user of its own needs no more than this:
//
//	ACL SETUSER checkout on >password ~hb1:{checkout}:* &hb1:{checkout}:e +hello +ping
//		+eval +evalsha +publish +subscribe +time +get +incr +pexpire +pexpireat +del
//		+hmget +hset +hgetall +hdel +zadd +zrem +zremrangebyscore +zrangebyscore +zcard +zcount
//
// and +cluster|slots +cluster|shards +command for a Cluster. Without the channel,
// nodes ask once a second whether anything has changed.
//
// Whoever may write to these keys may reject the fleet's calls, as an operator
// may: each node checks that a verdict follows from the opinions that it names,
// holds no circuit for longer than Options.MaxOpenFor without a probe, and
// cannot be made to crash, but a forged opinion looks like any other.
package breakerredis
