package breakerotel_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/contrib/breakerotel"
)

func ExampleRegister() {
	set := breaker.NewSet(breaker.Options{}) // the Breakers of an httpbreaker.Config
	reader := sdkmetric.NewManualReader()    // in a program, one that exports
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))

	registration, err := breakerotel.Register(set, &breakerotel.Options{MeterProvider: provider})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer registration.Unregister()

	set.Get("api.example.com").Trip(time.Minute, "deploy")

	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range data.ScopeMetrics[0].Metrics {
		if m.Name != "httpbreaker.circuit.state" {
			continue
		}
		for _, p := range m.Data.(metricdata.Gauge[float64]).DataPoints {
			key, _ := p.Attributes.Value("httpbreaker.key")
			fmt.Println(m.Name, key.AsString(), p.Value)
		}
	}
	// Output: httpbreaker.circuit.state api.example.com 1
}

func ExampleSpanEvents() {
	set := breaker.NewSet(breaker.Options{Hooks: []breaker.Hooks{breakerotel.SpanEvents()}})
	set.Get("api.example.com").SetMode(breaker.ForceOpen, "deploy, by alice")

	exporter := tracetest.NewInMemoryExporter() // in a program, one that exports
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	ctx, span := provider.Tracer("example").Start(context.Background(), "GET /orders")
	_, err := set.Get("api.example.com").Allow(ctx)
	span.End()

	fmt.Println(errors.Is(err, breaker.ErrOpen))
	for _, event := range exporter.GetSpans()[0].Events {
		fmt.Println(event.Name)
		for _, a := range event.Attributes {
			if a.Key != "httpbreaker.since" {
				fmt.Printf("  %s=%s\n", a.Key, a.Value.String())
			}
		}
	}
	// Output:
	// true
	// httpbreaker.transition
	//   httpbreaker.key=api.example.com
	//   httpbreaker.state=open
	//   httpbreaker.mode=force-open
	//   httpbreaker.reason=deploy, by alice
	//   httpbreaker.origin=operator
	//   httpbreaker.previous_state=closed
	// httpbreaker.rejected
	//   httpbreaker.key=api.example.com
	//   httpbreaker.state=open
	//   httpbreaker.mode=force-open
	//   httpbreaker.reason=deploy, by alice
	//   httpbreaker.origin=operator
}
