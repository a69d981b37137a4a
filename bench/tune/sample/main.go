// Command sample makes the log that the tests of tune read, and with which one can
// try tune out: twenty minutes of calls to four hosts, recorded by package record
// in virtual time.
//
//	go run ./bench/tune/sample > bench/tune/testdata/sample.log.gz
//	go run ./bench/tune/sample -format nginx    # or envoy, combined, csv: as others would have logged it
//
// What is wrong in it is known: payments refuses connections for two minutes from
// 09:05, search does not answer for 90 seconds from 09:09, catalog fails 60 % of its
// calls for three minutes from 09:12, and ledger, which is called once in ten
// seconds, is down for six minutes from 09:03.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

func main() {
	format := flag.String("format", "recording", "recording (compressed), nginx, envoy, combined or csv")
	flag.Parse()
	sim.Main(func(t *testing.T) int {
		out := bufio.NewWriter(os.Stdout)
		if err := write(t, out, *format); err != nil {
			fmt.Fprintln(os.Stderr, "sample:", err)
			return 1
		}
		if err := out.Flush(); err != nil {
			fmt.Fprintln(os.Stderr, "sample:", err)
			return 1
		}
		return 0
	})
}

func write(t *testing.T, w io.Writer, format string) error {
	calls := makeCalls()
	if format == "recording" {
		var text bytes.Buffer
		if err := recordCalls(t, &text, calls); err != nil {
			return err
		}
		z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := z.Write(text.Bytes()); err != nil {
			return err
		}
		return z.Close()
	}
	line, ok := formats[format]
	if !ok {
		return fmt.Errorf("-format %s: want recording, nginx, envoy, combined or csv", format)
	}
	if format == "csv" {
		fmt.Fprintln(w, "time,host,duration_ms,status")
	}
	sortByEnd(calls)
	for _, c := range calls {
		if _, err := fmt.Fprintln(w, line(c)); err != nil {
			return err
		}
	}
	return nil
}
