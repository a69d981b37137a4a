package replay

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/seed-0b728cf8/httpbreaker/bench/tune/logs"
)

func TestCallsComeInTheOrderInWhichTheyBegan(t *testing.T) {
	for _, limit := range []int{0, 1, 7, 100} {
		rng := rand.New(rand.NewPCG(1, 2))
		l := Log{limit: limit}
		var want []logs.Call
		for range 1000 {
			c := logs.Call{
				Start: rng.Int64N(500), Took: rng.Int64N(20), Key: rng.Uint32N(3), Outcome: logs.Outcome(rng.IntN(4)),
			}
			want = append(want, c)
			if err := l.Add(c); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Sort(); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(want, before)
		for range 2 {
			var got []logs.Call
			if err := l.Each(func(c logs.Call) bool { got = append(got, c); return true }); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("with %d in memory the order is wrong", limit)
			}
		}
		n := 0
		_ = l.Each(func(logs.Call) bool { n++; return n < 10 })
		if n != 10 || l.Calls != 1000 || l.First != want[0].Start {
			t.Errorf("stopped after %d; %+v", n, l)
		}
		name := ""
		if l.file != nil {
			name = l.file.Name()
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(name); name != "" && err == nil {
			t.Error("the temporary file is still there")
		}
	}
}
