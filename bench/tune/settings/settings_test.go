package settings

import (
	"encoding/json"
	"go/parser"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func TestEverySettingCanBeSetAndRead(t *testing.T) {
	if len(All) < 8 {
		t.Fatalf("only %d settings", len(All))
	}
	for _, s := range All {
		if s.Words == "" || !slices.IsSorted(s.Values) || s.Default > 0 && !slices.Contains(s.Values, s.Default) {
			t.Errorf("%+v", s)
		}
		if got := s.Get(breaker.Config{}); got != s.Default {
			t.Errorf("%s is %v by default, want %v", s.Name, got, s.Default)
		}
		for _, v := range append(s.Values, 0) {
			if v == 0 && s.Off == "" {
				continue
			}
			c := breaker.Config{MaxOpenFor: 10 * time.Minute}
			s.Set(&c, v)
			if got := s.Get(c); got != v {
				t.Errorf("%s set to %v is %v", s.Name, v, got)
			}
			if s.Name == "max_open_for" && v < 5 {
				continue // less than open_for
			}
			if err := c.Validate(); err != nil {
				t.Errorf("%s = %v: %v", s.Name, v, err)
			}
			var again breaker.Config
			if err := json.Unmarshal([]byte(JSON(c)), &again); err != nil || again.String() != c.String() {
				t.Errorf("%s as JSON: %s, %v", s.Name, JSON(c), err)
			}
			if _, err := parser.ParseExpr(Go(c)); err != nil {
				t.Errorf("%s as Go: %s, %v", s.Name, Go(c), err)
			}
		}
	}
}

// The defaults stand here a second time; Config says what they are.
func TestDefaultsAreThoseOfTheBreaker(t *testing.T) {
	for _, s := range All {
		if s.Default == 0 {
			continue
		}
		var said, set breaker.Config
		f := s.field(&set)
		if s.Kind == Share {
			f.SetFloat(s.Default)
		} else if s.Kind == Duration {
			f.SetInt(int64(s.Default * 1e9))
		} else {
			f.SetInt(int64(s.Default))
		}
		if set.String() != said.String() {
			t.Errorf("%s: with %s it %s; the default %s", s.Name, s.Text(s.Default), set, said)
		}
	}
}

func TestTexts(t *testing.T) {
	c := breaker.Config{OpenFor: 90 * time.Second, MaxOpenFor: 2 * time.Minute, ConsecutiveFailures: -1, SlowCall: 250 * time.Millisecond, Mode: breaker.Observe}
	for got, want := range map[string]string{
		Go(c):                         "breaker.Config{ConsecutiveFailures: -1, SlowCall: 250 * time.Millisecond, OpenFor: 90 * time.Second, MaxOpenFor: 2 * time.Minute, Mode: breaker.Observe}",
		Go(breaker.Config{}):          "breaker.Config{}",
		JSON(c):                       `{"consecutive_failures":-1,"max_open_for":"2m0s","mode":"observe","open_for":"1m30s","slow_call":"250ms"}`,
		JSON(breaker.Config{}):        `{}`,
		Differences(breaker.Config{}): "the defaults",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := Differences(c); !strings.Contains(got, "consecutive_failures off, slow_call 250ms, open_for 1m30s, max_open_for 2m") {
		t.Error(got)
	}
}
