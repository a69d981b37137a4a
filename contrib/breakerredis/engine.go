package breakerredis

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis/fleet"
)

var (
	//go:embed report.lua
	reportBody string
	//go:embed look.lua
	lookLua string
	//go:embed mode.lua
	modeLua string

	reportLua    = constants() + reportBody
	reportScript = redis.NewScript(reportLua)
	lookScript   = redis.NewScript(lookLua)
	modeScript   = redis.NewScript(modeLua)
)

const (
	maxModes = 1000
	// pingEvery is after how much silence a subscription is tested, and how long it
	// has for an answer.
	pingEvery = 15 * time.Second
)

// constants are those of the protocol, for the script.
func constants() string {
	return fmt.Sprintf("local doubt, askAgain, leaseFor, leaseRate, large, keepFor, maxHosts = %d, %d, %d, %g, %d, %d, %d\n",
		fleet.Doubt.Milliseconds(), fleet.AskAgain.Milliseconds(), fleet.LeaseFor.Milliseconds(), fleet.LeaseRate*1000,
		fleet.LargeFleet, fleet.KeepFor.Milliseconds(), fleet.MaxHosts) +
		fmt.Sprintf("local first, mostCalls, growth, soonest, openFor, ageShare = %g, %g, %g, %d, %d, %d\n",
			fleet.ProbeCallsFirst, fleet.ProbeCallsMost, fleet.ProbeGrowth, fleet.ProbeSoonest.Milliseconds(),
			fleet.ProbeOpenFor.Milliseconds(), fleet.ProbeAgeShare)
}

// engine is a [fleet.Engine] over Redis.
type engine struct {
	client ownClient
	prefix string
}

func newEngine(client ownClient, name string) *engine {
	return &engine{client: client, prefix: "hb1:{" + name + "}:"}
}

func (e *engine) Close() error { return e.client.Close() }

func (e *engine) channel() string { return e.prefix + "e" }

// Report runs the script for each report, all in one pipeline.
func (e *engine) Report(ctx context.Context, reports []fleet.Report) ([]fleet.Verdict, error) {
	cmds := make([]*redis.Cmd, len(reports))
	run := func(from []int, whole bool) error {
		pipe := e.client.Pipeline()
		for n, i := range from {
			keys, args := e.reportArgs(reports[i])
			if whole && n == 0 {
				cmds[i] = pipe.Eval(ctx, reportLua, keys, args...)
			} else {
				cmds[i] = pipe.EvalSha(ctx, reportScript.Hash(), keys, args...)
			}
		}
		_, err := pipe.Exec(ctx)
		return err
	}
	all := make([]int, len(reports))
	for i := range all {
		all[i] = i
	}
	err := run(all, false)
	var unknown []int
	for i, cmd := range cmds {
		if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			unknown = append(unknown, i)
		}
	}
	if len(unknown) > 0 {
		err = run(unknown, true)
	}
	verdicts := make([]fleet.Verdict, len(reports))
	answered := false
	for i, cmd := range cmds {
		// A host whose keys somebody has spoilt has no verdict; the others have.
		if numbers, numErr := cmd.Int64Slice(); numErr == nil {
			verdicts[i], answered = verdictOf(numbers), true
		}
	}
	if !answered && err != nil {
		return nil, err
	}
	return verdicts, nil
}

func (e *engine) reportArgs(r fleet.Report) (keys []string, args []any) {
	keys = []string{
		e.prefix + "i:" + r.Key, e.prefix + "b:" + r.Key, e.prefix + "g:" + r.Key, e.prefix + "q:" + r.Key,
		e.prefix + "live", e.prefix + "v",
	}
	args = []any{
		r.Node, int(r.Opinion), r.TTL.Milliseconds(), r.Rejected, int64(r.Rate * 1000),
		int(r.Probe), r.Round,
		r.Rules.MinNodes, int64(r.Rules.Quorum * 1e6), r.Rules.MaxOpenFor.Milliseconds(),
		r.Key, e.channel(), r.Incident,
	}
	return keys, args
}

func verdictOf(n []int64) fleet.Verdict {
	if len(n) < 9 {
		return fleet.Verdict{}
	}
	ms := func(n int64) time.Duration { return time.Duration(min(max(n, -1e12), 1e12)) * time.Millisecond }
	count := func(n int64) int { return int(min(max(n, 0), 1e6)) }
	return fleet.Verdict{
		Incident: n[0], Suspected: n[1] != 0, Age: ms(n[2]),
		Bad: count(n[3]), Good: count(n[4]), Quiet: count(n[5]),
		Round: n[6], Due: ms(n[7]), Lease: ms(n[8]),
	}
}

// Look reads the version, and the rest only if that is another one.
func (e *engine) Look(ctx context.Context, version int64) (fleet.View, error) {
	text, err := e.client.Get(ctx, e.prefix+"v").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fleet.View{}, err
	}
	if current := parseVersion(text); current == version {
		return fleet.View{Version: current, Unchanged: true}, nil
	}
	reply, err := lookScript.Run(ctx, e.client, []string{e.prefix + "v", e.prefix + "live", e.prefix + "modes"}, fleet.MaxHosts).Slice()
	if err != nil {
		return fleet.View{}, err
	}
	return viewOf(reply), nil
}

// parseVersion is zero for what is no version.
func parseVersion(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// viewOf takes of the reply what it understands.
func viewOf(reply []any) (v fleet.View) {
	for i, part := range reply {
		switch i {
		case 0:
			text, _ := part.(string)
			v.Version = parseVersion(text)
		case 1:
			keys, _ := part.([]any)
			for _, key := range keys {
				if text, ok := key.(string); ok {
					v.Keys = append(v.Keys, text)
				}
			}
		case 2:
			modes, _ := part.([]any)
			for _, mode := range modes {
				if m, ok := modeOf(mode); ok {
					v.Modes = append(v.Modes, m)
				}
			}
		}
	}
	return v
}

// storedMode is a mode as it stands in Redis. Fields that a newer version adds
// are ignored.
type storedMode struct {
	Mode   breaker.Mode `json:"mode"`
	Reason string       `json:"reason"`
	By     string       `json:"by,omitempty"`
}

func modeOf(reply any) (m fleet.Mode, ok bool) {
	fields, _ := reply.([]any)
	if len(fields) < 3 {
		return m, false
	}
	key, isKey := fields[0].(string)
	left, isTime := fields[1].(int64)
	text, isText := fields[2].(string)
	var s storedMode
	if !isKey || !isTime || !isText || json.Unmarshal([]byte(text), &s) != nil {
		return m, false
	}
	return fleet.Mode{Key: key, Mode: s.Mode, Reason: s.Reason, By: s.By, For: time.Duration(min(left, 1e12)) * time.Millisecond}, true
}

func (e *engine) SetMode(ctx context.Context, m fleet.Mode) error {
	what := ""
	if m.Mode != breaker.Enforce {
		text, err := json.Marshal(storedMode{m.Mode, m.Reason, m.By})
		if err != nil {
			return err
		}
		what = string(text)
	}
	now, err := e.client.Time(ctx).Result() // the server's, as no other clock counts
	if err != nil {
		return err
	}
	end, limited := ctx.Deadline()
	if !limited {
		end = time.Now().Add(time.Second)
	}
	return modeScript.Run(ctx, e.client, []string{e.prefix + "modes", e.prefix + "v"},
		m.Key, what, m.For.Milliseconds(), e.channel(), maxModes, fleet.MaxModeFor.Milliseconds(),
		now.Add(time.Until(end)).UnixMilli()).Err()
}

// Listen subscribes, and returns when the connection is lost.
func (e *engine) Listen(ctx context.Context, ready func(), got func(fleet.Event)) error {
	sub := e.client.Subscribe(ctx, e.channel())
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	for pinged := false; ; {
		message, err := sub.ReceiveTimeout(ctx, pingEvery)
		var timeout net.Error
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &timeout) && timeout.Timeout() && !pinged:
			if err := sub.Ping(ctx); err != nil {
				return err
			}
			pinged = true
			continue
		case err != nil:
			return fmt.Errorf("subscribing: %w", err)
		}
		pinged = false
		switch m := message.(type) {
		case *redis.Subscription:
			ready()
		case *redis.Message:
			if event, ok := eventOf(m.Payload); ok {
				got(event)
			}
		}
	}
}

// eventOf understands "s KEY", "o KEY", "c KEY" and "m"; of a newer version there
// may be more.
func eventOf(message string) (e fleet.Event, ok bool) {
	kind, key, _ := strings.Cut(message, " ")
	if len(kind) != 1 || len(key) > fleet.MaxKey {
		return e, false
	}
	return fleet.Event{Kind: fleet.EventKind(kind[0]), Key: key}, true
}
