package clients

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-github/v75/github"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
)

var gitHub = library{
	name:    "go-github",
	connect: connectGitHub,
	answer:  answers(`{}`),
	plain:   once,
	told:    once,
}

func connectGitHub(t *testing.T, s setup) call {
	transport := httpbreaker.New(&s.config)
	client := github.NewClient(&http.Client{Transport: transport}).WithAuthToken("token")
	var err error
	client.BaseURL, err = url.Parse(s.url + "/")
	require.NoError(t, err)
	return func(ctx context.Context) error {
		_, _, err := client.Repositories.Get(ctx, "golang", "go")
		return err
	}
}
