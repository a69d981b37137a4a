//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerredis"
)

// guard makes one call, unless it is rejected.
type guard func(call func() error) (rejected bool, err error)

// nodesOfPeers is how many nodes share.
const nodesOfPeers = 5

// measurePeers runs both over a real Redis.
func measurePeers(out io.Writer) ([]Peer, error) {
	server, addr, err := startRedis()
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = server.Process.Signal(syscall.SIGCONT)
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	var table []Peer
	row := func(what, text string, ours, theirs any) {
		table = append(table, Peer{what, fmt.Sprintf(text, ours), fmt.Sprintf(text, theirs)})
		fmt.Fprintln(out, table[len(table)-1])
	}
	both := func(measure func(nodes []guard) any) (ours, theirs any, err error) {
		for i, start := range []func(addr string) ([]guard, func(), error){startOurs, startGobreaker} {
			nodes, stop, err := start(addr)
			if err != nil {
				return nil, nil, err
			}
			v := measure(nodes)
			stop()
			if i == 0 {
				ours = v
			} else {
				theirs = v
			}
		}
		return ours, theirs, nil
	}
	for _, m := range []struct {
		what, text string
		measure    func([]guard) any
	}{
		{"time a call, one caller, the call itself takes nothing", "%v", timeOfCall},
		{"calls a second of 5 nodes with 4 callers each, a call takes 50 ms (400 would be all)", "%.0f", throughput},
		{"1 of 5 nodes cut off, calls of the others that are rejected or not made", "%s", poisoned(1)},
		{"4 of 5 nodes cut off, the same for the fifth", "%s", poisoned(4)},
		{"Redis frozen: calls that are made", "%s", frozenMade(server)},
		{"Redis frozen: time a call, median, and of that with Redis answering", "%s", frozenTime(server)},
	} {
		ours, theirs, err := both(m.measure)
		if err != nil {
			return nil, err
		}
		row(m.what, m.text, ours, theirs)
	}
	return table, nil
}

func startRedis() (*exec.Cmd, string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, "", errors.New("redis-server is not installed; it is in Debian's package redis-server, or use -peers=false")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "")
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	for range 500 {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return cmd, addr, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = cmd.Process.Kill()
	return nil, "", errors.New("redis-server does not listen")
}

func startOurs(addr string) (nodes []guard, stop func(), err error) {
	var stops []func()
	for range nodesOfPeers {
		set := breaker.NewSet(breaker.Options{})
		client := redis.NewClient(&redis.Options{Addr: addr})
		sharing, err := breakerredis.New(client, set, &breakerredis.Options{Fleet: "bench", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, nil, err
		}
		stops = append(stops, func() { _ = sharing.Close(); _ = client.Close() })
		nodes = append(nodes, func(call func() error) (bool, error) {
			permit, err := set.Get(key).Allow(context.Background())
			if err != nil {
				return true, err
			}
			if err := call(); err != nil {
				permit.Fail(err)
				return false, err
			}
			permit.Done(breaker.Success)
			return false, nil
		})
	}
	time.Sleep(200 * time.Millisecond)
	return nodes, func() {
		for _, s := range stops {
			s()
		}
	}, nil
}

// store is a gobreaker.SharedDataStore, as its documentation describes one.
type store struct{ client *redis.Client }

func (s store) Lock(name string) error {
	ok, err := s.client.SetNX(context.Background(), name, "locked", 5*time.Second).Result()
	if err == nil && !ok {
		err = errors.New("locked by another")
	}
	return err
}

func (s store) Unlock(name string) error { return s.client.Del(context.Background(), name).Err() }

func (s store) GetData(name string) ([]byte, error) {
	return s.client.Get(context.Background(), name).Bytes()
}

func (s store) SetData(name string, data []byte) error {
	return s.client.Set(context.Background(), name, data, 0).Err()
}

func startGobreaker(addr string) (nodes []guard, stop func(), err error) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	if err := client.FlushAll(context.Background()).Err(); err != nil {
		return nil, nil, err
	}
	for range nodesOfPeers {
		b, err := gobreaker.NewDistributedCircuitBreaker[struct{}](store{client}, gobreaker.Settings{Name: key})
		if err != nil {
			return nil, nil, err
		}
		nodes = append(nodes, func(call func() error) (bool, error) {
			made := false
			_, err := b.Execute(func() (struct{}, error) {
				made = true
				return struct{}{}, call()
			})
			return !made, err
		})
	}
	return nodes, func() { _ = client.Close() }, nil
}

func succeed() error { return nil }

func timeOfCall(nodes []guard) any {
	const calls = 3000
	start := time.Now()
	for range calls {
		_, _ = nodes[0](succeed)
	}
	return rounded(time.Since(start) / calls)
}

func rounded(d time.Duration) time.Duration {
	switch {
	case d > time.Millisecond:
		return d.Round(100 * time.Microsecond)
	case d > 10*time.Microsecond:
		return d.Round(time.Microsecond)
	}
	return d.Round(10 * time.Nanosecond)
}

func throughput(nodes []guard) any {
	const span = 5 * time.Second
	var made atomic.Int64
	var callers sync.WaitGroup
	end := time.Now().Add(span)
	for _, node := range nodes {
		for range 4 {
			callers.Go(func() {
				for time.Now().Before(end) {
					_, _ = node(func() error {
						time.Sleep(50 * time.Millisecond)
						if time.Now().Before(end) {
							made.Add(1)
						}
						return nil
					})
				}
			})
		}
	}
	callers.Wait()
	return float64(made.Load()) / span.Seconds()
}

// poisoned lets the calls of so many nodes fail, each calling 20 times a second.
func poisoned(cut int) func(nodes []guard) any {
	return func(nodes []guard) any {
		var wanted, made atomic.Int64
		var callers sync.WaitGroup
		end := time.Now().Add(8 * time.Second)
		for i, node := range nodes {
			callers.Go(func() {
				for ; time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
					start := time.Now()
					ok := false
					_, _ = node(func() error {
						if i < cut {
							return errFailed
						}
						ok = true
						return nil
					})
					if i < cut {
						continue
					}
					// A call that had to wait held up those that were due meanwhile.
					wanted.Add(1 + int64(time.Since(start)/(50*time.Millisecond)))
					if ok {
						made.Add(1)
					}
				}
			})
		}
		callers.Wait()
		return fmt.Sprintf("%.1f %%", 100*(1-float64(made.Load())/float64(wanted.Load())))
	}
}

// factor has three digits.
func factor(v float64) string {
	if v < 1000 {
		return fmt.Sprintf("%.3g", v)
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-2)
	return number(math.Round(v/unit)*unit, 0)
}

// whileFrozen stops the server for a while.
func whileFrozen(server *exec.Cmd, what func()) {
	_ = server.Process.Signal(syscall.SIGSTOP)
	what()
	_ = server.Process.Signal(syscall.SIGCONT)
	time.Sleep(200 * time.Millisecond)
}

func frozenMade(server *exec.Cmd) func(nodes []guard) any {
	return func(nodes []guard) any {
		calls, made := 0, 0
		whileFrozen(server, func() {
			for end := time.Now().Add(2 * time.Second); time.Now().Before(end); calls++ {
				_, _ = nodes[0](func() error { made++; return nil })
			}
		})
		return fmt.Sprintf("%.0f %%", 100*float64(made)/float64(calls))
	}
}

// frozenTime measures in turn with the server frozen and not, as a machine is not
// equally fast all the time.
func frozenTime(server *exec.Cmd) func(nodes []guard) any {
	return func(nodes []guard) any {
		var frozen, answering []time.Duration
		measure := func(into *[]time.Duration) {
			start, calls := time.Now(), 0
			for ; time.Since(start) < 100*time.Millisecond; calls += 100 {
				for range 100 {
					if _, _ = nodes[0](succeed); time.Since(start) > time.Second {
						*into = append(*into, time.Since(start)/time.Duration(calls+1))
						return
					}
				}
			}
			*into = append(*into, time.Since(start)/time.Duration(calls))
		}
		for began := time.Now(); len(frozen) < 9 && time.Since(began) < 15*time.Second; {
			measure(&answering)
			whileFrozen(server, func() { measure(&frozen) })
		}
		slices.Sort(frozen)
		slices.Sort(answering)
		a, b := frozen[len(frozen)/2], answering[len(answering)/2]
		return fmt.Sprintf("%v, %s ×", rounded(a), factor(float64(a)/float64(b)))
	}
}
