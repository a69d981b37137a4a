package clients

import (
	"context"
	"errors"
	"testing"
	"time"

	restyv2 "github.com/go-resty/resty/v2"
	"resty.dev/v3"

	"github.com/seed-0b728cf8/httpbreaker"
)

var restyV2 = library{
	name:    "resty v2",
	connect: connectRestyV2,
	answer:  answers(`{}`),
	plain:   effort{attempts: 4, least: 300 * time.Millisecond, most: time.Second},
	told:    once,
}

func connectRestyV2(_ *testing.T, s setup) call {
	transport := httpbreaker.New(&s.config)
	client := restyv2.New().SetTransport(transport).SetRetryCount(3)
	client.SetLogger(quiet{})
	if s.told {
		client.AddRetryCondition(func(_ *restyv2.Response, err error) bool {
			return err != nil && !errors.Is(err, httpbreaker.ErrOpen)
		})
	}
	if s.wait > 0 {
		client.SetRetryWaitTime(s.wait).SetRetryMaxWaitTime(s.wait)
	}
	return func(ctx context.Context) error {
		res, err := client.R().SetContext(ctx).Get(s.url)
		if err == nil && res.IsError() {
			err = errors.New(res.Status())
		}
		return err
	}
}

// It retries what is a timeout or, in an old word, temporary; OpenError is neither.
var restyV3 = library{
	name:    "resty v3",
	connect: connectRestyV3,
	answer:  answers(`{}`),
	plain:   once,
	told:    once,
}

func connectRestyV3(t *testing.T, s setup) call {
	transport := httpbreaker.New(&s.config)
	client := resty.New().SetTransport(transport).SetRetryCount(3)
	client.SetLogger(quiet{})
	if s.told {
		client.AddRetryConditions(func(_ *resty.Response, err error) bool {
			return err != nil && !errors.Is(err, httpbreaker.ErrOpen)
		})
	}
	if s.wait > 0 {
		client.SetRetryWaitTime(s.wait).SetRetryMaxWaitTime(s.wait)
	}
	t.Cleanup(func() { _ = client.Close() })
	return func(ctx context.Context) error {
		res, err := client.R().SetContext(ctx).Get(s.url)
		if err == nil && res.IsStatusFailure() {
			err = errors.New(res.Status())
		}
		return err
	}
}

// quiet is a log that says nothing.
type quiet struct{}

func (quiet) Errorf(string, ...any) {}
func (quiet) Warnf(string, ...any)  {}
func (quiet) Debugf(string, ...any) {}
