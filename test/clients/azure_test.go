package clients

import (
	"context"
	"net/http"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/seed-0b728cf8/httpbreaker"
)

// The core, of which all clients of this SDK are made, looks for a method NonRetriable,
// which OpenError has.
var azureSDK = library{
	name:    "Azure SDK",
	connect: connectAzure,
	answer:  answers(`{}`),
	plain:   once,
	told:    once,
}

func connectAzure(_ *testing.T, s setup) call {
	transport := httpbreaker.New(&s.config)
	var options policy.ClientOptions
	options.Transport = &http.Client{Transport: transport}
	options.Retry.RetryDelay = s.wait
	pipeline := runtime.NewPipeline("test", "v1.0.0", runtime.PipelineOptions{}, &options)
	return func(ctx context.Context) error {
		req, err := runtime.NewRequest(ctx, http.MethodGet, s.url)
		if err != nil {
			return err
		}
		res, err := pipeline.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if !runtime.HasStatusCode(res, http.StatusOK) {
			return runtime.NewResponseError(res)
		}
		return nil
	}
}
