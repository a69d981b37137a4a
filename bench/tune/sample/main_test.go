package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"testing"
)

func TestTheSampleIsWhatThisProgramMakes(t *testing.T) {
	file, err := os.Open("../testdata/sample.log.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var made bytes.Buffer
	if err := write(t, &made, "recording"); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(unzipped(t, file), unzipped(t, &made)) {
		t.Error("it is not; go run ./bench/tune/sample > bench/tune/testdata/sample.log.gz")
	}
}

func unzipped(t *testing.T, from io.Reader) []byte {
	t.Helper()
	z, err := gzip.NewReader(from)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAnUnknownFormatIsRefused(t *testing.T) {
	if err := write(t, new(bytes.Buffer), "morse"); err == nil {
		t.Error("no error")
	}
}
