// Job shows a circuit breaker without HTTP, around a database:
//
//	go run ./examples/job
//
// A program takes jobs from a queue and writes invoices into a database, which goes down
// for a while. Instead of failing job after job, it waits until the circuit lets it try
// again.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "job:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer) error {
	memory := newMemory(map[int64]string{1: "Ada", 2: "Grace", 3: "Barbara"})
	db := sql.OpenDB(memory)
	defer db.Close()
	s := &store{db, breaker.New("invoices-db", breaker.Config{
		ConsecutiveFailures: 3, ConsecutiveSpan: -1, OpenFor: 200 * time.Millisecond, ProbeShare: -1, Jitter: -1,
	})}

	queue := make(chan job, 10)
	for _, j := range []job{
		{1, 1}, {2, 2},
		{3, 3}, // the database is down when this one comes
		{2, 2}, // delivered twice
		{4, 9}, // for a customer who does not exist
	} {
		queue <- j
	}
	close(queue)
	for j := range queue {
		if j.invoice == 3 {
			fmt.Fprintln(w, "(the database goes down, for the next four calls)")
			memory.failNext(4)
		}
		if err := work(ctx, w, s, j); err != nil {
			return err
		}
	}
	total := s.circuit.Snapshot().Totals
	fmt.Fprintf(w, "%d calls succeeded, %d failed, %d were rejected; the circuit opened %d times.\n",
		total.Successes, total.Failures, total.Rejected, total.Opened)
	return nil
}

type job struct{ invoice, customer int64 }

// work does one job. It tries until that is done: how often and how fast it may try is
// the circuit's to say.
func work(ctx context.Context, w io.Writer, s *store, j job) error {
	for {
		name, err := s.writeInvoice(ctx, j)
		var open *breaker.OpenError
		switch {
		case err == nil:
			fmt.Fprintf(w, "invoice %d: written for %s\n", j.invoice, name)
			return nil
		case errors.Is(err, errNoCustomer), errors.Is(err, errDuplicate):
			fmt.Fprintf(w, "invoice %d: dropped: %v\n", j.invoice, err)
			return nil
		case errors.As(err, &open):
			fmt.Fprintf(w, "invoice %d: waits: %v\n", j.invoice, err)
			// RetryAfter is 0 while another worker's probe is out.
			if err := sleep(ctx, max(open.RetryAfter(), 10*time.Millisecond)); err != nil {
				return err
			}
		case ctx.Err() != nil:
			return context.Cause(ctx)
		default:
			fmt.Fprintf(w, "invoice %d: %v\n", j.invoice, err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errNoCustomer = errors.New("no such customer")

// store is a database behind a circuit. All its calls share the one: it is the same
// server that answers them or does not.
type store struct {
	db      *sql.DB
	circuit *breaker.Breaker
}

func (s *store) writeInvoice(ctx context.Context, j job) (name string, err error) {
	name, err = s.customer(ctx, j.customer)
	if err != nil {
		return "", err
	}
	return name, s.insert(ctx, j)
}

// customer uses breaker.Do, for which any error is a failure of the database. That no row
// was found is an answer, so it leaves the call as one.
func (s *store) customer(ctx context.Context, id int64) (string, error) {
	name, err := breaker.Do(ctx, s.circuit, func(ctx context.Context) (*string, error) {
		var name string
		err := s.db.QueryRowContext(ctx, "SELECT name FROM customers WHERE id = ?", id).Scan(&name)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil
		}
		return &name, err
	})
	switch {
	case err != nil:
		return "", err
	case name == nil:
		return "", errNoCustomer
	}
	return *name, nil
}

// insert uses a permit, to say itself what the outcome was.
func (s *store) insert(ctx context.Context, j job) error {
	permit, err := s.circuit.Allow(ctx)
	if err != nil {
		return err
	}
	defer permit.Done(breaker.Ignored) // for a panic only: the first call counts

	_, err = s.db.ExecContext(ctx, "INSERT INTO invoices VALUES (?, ?)", j.invoice, j.customer)
	switch {
	case err == nil, errors.Is(err, errDuplicate):
		permit.Done(breaker.Success) // it works, and says no
	case ctx.Err() != nil:
		permit.Done(breaker.Ignored) // we have given up
	default:
		permit.Fail(err)
	}
	return err
}
