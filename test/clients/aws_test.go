package clients

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-0b728cf8/httpbreaker"
)

// The SDK looks for a method RetryableError, which OpenError has.
var awsSDK = library{
	name:    "AWS SDK v2",
	connect: connectAWS,
	answer:  func(http.ResponseWriter, *http.Request) {},
	plain:   once,
	told:    once,
}

func connectAWS(_ *testing.T, s setup) call {
	transport := httpbreaker.New(&s.config)
	cfg := aws.Config{
		Region: "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, nil
		}),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				if s.wait > 0 {
					o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return s.wait, nil })
				}
			})
		},
	}
	cfg.HTTPClient = &http.Client{Transport: transport}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.BaseEndpoint, o.UsePathStyle = &s.url, true
	})
	return func(ctx context.Context) error {
		_, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("bucket"), Key: aws.String("key")})
		return err
	}
}
