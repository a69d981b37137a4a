package clients

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker"
)

// Nothing that an error could say stops it, and it waits even after its last attempt.
var minioGo = library{
	name:    "minio-go",
	connect: connectMinio,
	answer:  func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("ETag", `"1"`) },
	plain:   effort{attempts: 10, least: time.Second, most: 10 * time.Second},
	told:    effort{attempts: 1, most: 200 * time.Millisecond},
}

func connectMinio(t *testing.T, s setup) call {
	transport := httpbreaker.New(&s.config)
	options := &minio.Options{Creds: credentials.NewStaticV4("id", "secret", ""), Region: "us-east-1"}
	options.Transport = transport
	if s.told {
		options.MaxRetries = 1
	}
	client, err := minio.New(strings.TrimPrefix(s.url, "http://"), options)
	require.NoError(t, err)
	return func(ctx context.Context) error {
		body := strings.NewReader("hello")
		_, err := client.PutObject(ctx, "bucket", "key", body, body.Size(), minio.PutObjectOptions{})
		if minio.ToErrorResponse(err).Code == "CircuitOpen" {
			return httpbreaker.ErrOpen
		}
		return err
	}
}
