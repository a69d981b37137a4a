package fleet

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"
)

// Options configure a node. A zero field other than Fleet is its default.
type Options struct {
	// Fleet names those who share. It must not be empty: 1 to 64 letters, digits
	// and "-_.:/". Let a fleet be the processes of one service in one zone:
	// callers with different credentials, networks or limits have different
	// troubles.
	Fleet string
	// MinNodes is how many nodes have to find a host bad. Default 3, at least 2. A
	// fleet of two needs 2.
	MinNodes int
	// Quorum is the share, in (0.5, 1], of those with an opinion that have to find
	// it bad. Default 0.9.
	Quorum float64
	// MaxOpenFor bounds how long the fleet holds a circuit without a probe.
	// Default 45s, at least 1s, at most 24h.
	MaxOpenFor time.Duration
	// Shared reports whether a key is shared. It must mean the same host to every
	// node. It is called by the node's goroutine only. Default [SharedByDefault].
	Shared func(key string) bool
	// Timeout bounds each exchange with the engine. Default 500ms, at most 1s.
	Timeout time.Duration
	// Logger is told once when the engine stops answering, and once when it
	// answers again. Default slog.Default().
	Logger *slog.Logger
}

// Validate returns nil, or an error that names every bad field with its value
// and the rule that it breaks.
func (o Options) Validate() error {
	var bad []error
	check := func(ok bool, field string, value any, rule string) {
		if !ok {
			bad = append(bad, fmt.Errorf("fleet: Options.%s = %v; %s", field, value, rule))
		}
	}
	check(validName(o.Fleet), "Fleet", fmt.Sprintf("%q", o.Fleet), `want 1 to 64 letters, digits or "-_.:/"`)
	check(o.MinNodes == 0 || o.MinNodes >= 2, "MinNodes", o.MinNodes,
		"want at least 2, or zero for the default of 3: a single node must not speak for all")
	check(o.Quorum == 0 || o.Quorum > 0.5 && o.Quorum <= 1, "Quorum", o.Quorum,
		"want a share in (0.5, 1], or zero for the default of 0.9")
	check(o.MaxOpenFor == 0 || o.MaxOpenFor >= time.Second && o.MaxOpenFor <= 24*time.Hour, "MaxOpenFor", o.MaxOpenFor,
		"want 1s to 24h, or zero for the default of 45s")
	check(o.Timeout >= 0 && o.Timeout <= time.Second, "Timeout", o.Timeout,
		"want at most 1s, or zero for the default of 500ms")
	return errors.Join(bad...)
}

func validName(name string) bool {
	for _, c := range []byte(name) {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/", rune(c)) {
			return false
		}
	}
	return name != "" && len(name) <= 64
}

func (o Options) withDefaults() Options {
	o.MinNodes = cmp.Or(o.MinNodes, 3)
	o.Quorum = cmp.Or(o.Quorum, 0.9)
	o.MaxOpenFor = cmp.Or(o.MaxOpenFor, 45*time.Second)
	o.Timeout = cmp.Or(o.Timeout, 500*time.Millisecond)
	if o.Shared == nil {
		o.Shared = SharedByDefault
	}
	return o
}

// SharedByDefault reports whether a key of the transport's ByHost or ByRoute is
// shared: every key except those of this machine, localhost and loopback
// addresses, which are another host to each node.
func SharedByDefault(key string) bool {
	host := key[strings.LastIndexByte(key, ' ')+1:]
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if ip := net.ParseIP(host); ip != nil {
		return !ip.IsLoopback()
	}
	return host != "localhost" && !strings.HasSuffix(host, ".localhost")
}
