package browser

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
	"github.com/seed-0b728cf8/httpbreaker/statuspage"
)

var looks = flag.String("looks", "", "write pictures of the page in many sizes to this directory")

// picture writes what the page looks like. A height of 0 is that of the page.
func (b *tab) picture(file, scheme string, width, height int64) {
	b.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
		b.t.Fatal(err)
	}
	if height == 0 {
		b.do(chromedp.EmulateViewport(width, 800, chromedp.EmulateScale(1.5)))
		height = min(eval[int64](b, `document.documentElement.scrollHeight`), 3000)
	}
	b.do(chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1.5)))
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// TestLooks writes pictures to look at: 3, 50 and 5,000 circuits, some of them in
// trouble, in both schemes and on a telephone.
func TestLooks(t *testing.T) {
	if *looks == "" {
		t.Skip("for eyes; run with -looks DIR")
	}
	for _, n := range []int{3, 50, 5000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			set := breaker.NewSet(breaker.Options{})
			page := open(t, servePage(t, set, &statuspage.Options{
				Title:    "Checkout: circuits",
				Control:  func(*http.Request) bool { return true },
				Operator: func(*http.Request) string { return "alice" },
			}))
			keys := keysLike(n)
			failing := func(i int) float64 {
				switch {
				case i == 0, n > 10 && i%17 == 3:
					return 1
				case n > 10 && i%17 == 6:
					return 0.7
				case i%11 == 1:
					return 0.3
				}
				return 0.002
			}
			stop := time.Now().Add(45 * time.Second)
			var calls sync.WaitGroup
			for i, key := range keys {
				calls.Go(func() {
					for began := time.Now(); time.Now().Before(stop); {
						down := failing(i)
						if time.Since(began) < time.Duration(5+i%20)*time.Second {
							down = 0.002
						}
						if p, err := set.Get(key).Allow(context.Background()); err == nil {
							if rand.Float64() < down {
								p.Fail(errors.New("connect: connection refused"))
							} else {
								p.Done(breaker.Success)
							}
						}
						pass(t.Context(), time.Duration(rand.ExpFloat64()*float64(min(2, 0.02*float64(n))*float64(time.Second)))+20*time.Millisecond)
					}
				})
			}
			pass(t.Context(), 25*time.Second)
			if n > 3 {
				set.Get(keys[5]).SetMode(breaker.ForceOpen, "moving the database, back at 05:00, by bob")
				set.Get(keys[7]).SetMode(breaker.Observe, "on trial until Monday, rejects nothing, by bob")
				set.Get(keys[9]).SetMode(breaker.Disabled, "the host says 503 for what it cannot find, by carol")
			}
			calls.Wait()
			file := func(name string) string { return filepath.Join(*looks, fmt.Sprintf("%d-%s.png", n, name)) }
			page.until(`document.querySelector('#rows tr[data-state=open]')`)
			for _, scheme := range []string{"light", "dark"} {
				page.picture(file(scheme), scheme, 1360, 0)
				page.picture(file("wide-"+scheme), scheme, 1800, 1000)
				page.picture(file("phone-"+scheme), scheme, 360, 0)
			}
			page.picture(file("tablet"), "light", 820, 0)
			page.run(`document.querySelector('#rows .key').click()`)
			page.picture(file("detail"), "light", 1360, 900)
			page.picture(file("detail-phone"), "dark", 360, 1000)
			page.run(`document.querySelector('#rows .control').click()`)
			page.picture(file("control"), "light", 1360, 900)
			page.picture(file("control-phone"), "light", 360, 760)
			page.run(`document.querySelector('#control').close()`)
			set.SetMode(breaker.Disabled, "the breakers are to blame, by alice")
			page.until(`!document.querySelector('#all').hidden`)
			page.run(`document.querySelector('#control-all').click()`)
			page.picture(file("all"), "dark", 1360, 900)
		})
	}
}

// keysLike returns n keys such as programs have.
func keysLike(n int) []string {
	methods := []string{"GET", "POST", "PUT", "DELETE"}
	paths := []string{"/v1/shops/{shop}/items/{item}", "/v1/shops/{shop}/items/{item}/prices", "/v1/shops/{shop}/orders", "/v2/search"}
	hosts := []string{"catalog.eu-central-1.internal.example.com", "api.payments.example.com", "search.internal:8080"}
	var keys []string
	for i := range n {
		switch {
		case i%5 == 4:
			keys = append(keys, fmt.Sprintf("shard-%d.db.example.com:8443", i))
		case i%5 == 2:
			keys = append(keys, fmt.Sprintf("host%d.example.com", i))
		default:
			keys = append(keys, fmt.Sprintf("%s %s%s", methods[i%4], hosts[i%3], paths[(i/3)%4]))
			if i >= 36 {
				keys[i] += fmt.Sprintf("/%d", i)
			}
		}
	}
	return keys
}
