package main

import (
	"errors"
	"net"
	"os/exec"
	"time"
)

// startRedis starts a Redis on a free port, which keeps nothing. stop is never
// nil.
func startRedis() (addr string, stop func(), err error) {
	stop = func() {}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", stop, errors.New("no redis-server is installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", stop, err
	}
	addr = l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		return "", stop, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	for range 100 {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return addr, stop, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	return "", func() {}, errors.New("the redis-server does not listen")
}
