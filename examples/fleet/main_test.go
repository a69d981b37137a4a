package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The processes of the example are this binary.
func TestMain(m *testing.M) {
	for _, arg := range os.Args[1:] {
		if arg == "-call" {
			main()
			return
		}
	}
	flag.Parse()
	os.Exit(m.Run())
}

var short = plan{down: time.Second, up: 5 * time.Second, end: 6 * time.Second}

func TestRun(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		skip(t, "redis-server is not installed; it is in Debian's package redis-server")
	}
	check(t, false)
}

func skip(t *testing.T, message string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip(message)
}

func TestWithoutRedis(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	check(t, true)
}

func check(t *testing.T, inMemory bool) {
	var out bytes.Buffer
	if err := run(&out, short); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if got := strings.Contains(text, "no redis-server is installed, so the ten that share do it in memory"); got != inMemory {
		t.Errorf("says that there is no Redis: %v", got)
	}
	if n := len(regexp.MustCompile(`(?m)^ +\d+s (up  |DOWN)`).FindAllString(text, -1)); n != 6 {
		t.Errorf("%d lines", n)
	}
	m := regexp.MustCompile(`(\d+) from those who share, (\d+) from those who do not`).FindStringSubmatch(text)
	if m == nil {
		t.Fatal(text)
	}
	shared, _ := strconv.Atoi(m[1])
	alone, _ := strconv.Atoi(m[2])
	if shared == 0 || shared >= alone {
		t.Error(text)
	}
}
