package main

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
)

const want = `The shop answers

  alice  GET  /prices   GET prices        the shop
  alice  GET  /orders   orders of alice   the shop
  alice  GET  /stock    3 pieces left     the shop
  alice  GET  /basket   GET basket        the shop
  alice  PUT  /basket   PUT basket        the shop

The shop is down

  alice  GET  /prices   GET prices        kept, N s old
  alice  GET  /orders   orders of alice   kept, N s old
  bob    GET  /orders   no answer         the circuit is open
  alice  GET  /stock    no answer         the circuit is open
  alice  GET  /basket   no answer         the circuit is open
`

func TestRun(t *testing.T) {
	var out bytes.Buffer
	run(&out)
	assert.Equal(t, want, regexp.MustCompile(`[1-9][0-9]* s old`).ReplaceAllString(out.String(), "N s old"))
}
