package statuspage

import (
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

const (
	maxReason   = 200     // characters
	maxOperator = 60      // characters
	maxForm     = 8 << 10 // bytes
)

// control answers POST mode, POST fleet/mode, POST circuits/{key}/mode and POST
// circuits/{key}/reset; rel is the escaped path below the page. Its last segment
// is what to do: where a proxy has unescaped the slashes of the key, the key may
// end like that, too.
func (h *handler) control(w http.ResponseWriter, r *http.Request, rel string) {
	key, isMode := strings.CutSuffix(strings.TrimPrefix(rel, "circuits/"), "/mode")
	isReset := false
	if !isMode {
		key, isReset = strings.CutSuffix(key, "/reset")
	}
	ofAll, ofFleet := rel == "mode", rel == "fleet/mode"
	switch {
	case !ofAll && !isMode && !isReset:
		methodNotAllowed(w, "GET, HEAD")
		return
	case h.opts.Control == nil:
		fail(w, http.StatusNotFound, "controls are off: statuspage.Options.Control is not set")
		return
	case ofFleet && h.opts.Fleet == nil:
		fail(w, http.StatusNotFound, "there is no fleet: statuspage.Options.Fleet is not set")
		return
	}
	if err := h.sameOrigin.Check(r); err != nil {
		fail(w, http.StatusForbidden, "%v", err)
		return
	}
	if !h.opts.Control(r) {
		fail(w, http.StatusForbidden, "not allowed to change circuits")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		fail(w, http.StatusBadRequest, "form: %v", err)
		return
	}
	reason, err := checkReason(r.PostForm.Get("reason"))
	if err != nil {
		fail(w, http.StatusBadRequest, "%v", err)
		return
	}
	var mode breaker.Mode
	if name := r.PostForm.Get("mode"); !isReset && mode.UnmarshalText([]byte(name)) != nil {
		fail(w, http.StatusBadRequest, `mode = %q; want "enforce", "observe", "force-open" or "disabled"`, name)
		return
	}
	if ofFleet {
		h.fleetMode(w, r, mode, reason)
		return
	}
	if name := h.operator(r); name != "" {
		reason += ", by " + name
	}
	if ofAll {
		h.set.SetMode(mode, reason)
		reply(w, http.StatusOK, struct {
			Mode   breaker.Mode `json:"mode"`
			Reason string       `json:"reason"`
		}{mode, reason})
		return
	}
	b, ok := h.lookup(w, key)
	if !ok {
		return
	}
	if isMode {
		b.SetMode(mode, reason)
	} else {
		b.Reset(reason)
	}
	reply(w, http.StatusOK, b.Snapshot())
}

// operator returns the name of whoever makes a request, on one line, or "".
func (h *handler) operator(r *http.Request) string {
	if h.opts.Operator == nil {
		return ""
	}
	name := []rune(visible(strings.TrimSpace(h.opts.Operator(r))))
	return string(name[:min(maxOperator, len(name))])
}

// controlEvent says what an operator did, by the page or in the program.
type controlEvent struct {
	Key    string        `json:"key"` // "": to all circuits
	At     time.Time     `json:"at"`
	Action breaker.Act   `json:"action"`
	Mode   *breaker.Mode `json:"mode,omitempty"`
	Reason string        `json:"reason"`
}

func controlEventOf(o breaker.Operation) controlEvent {
	e := controlEvent{Key: o.Key, At: o.At, Action: o.Act, Reason: o.Reason}
	if o.Act == breaker.ActMode {
		e.Mode = &o.Mode
	}
	return e
}

// checkReason returns a reason without space around it, if it may be kept.
func checkReason(reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	switch n := utf8.RuneCountInString(reason); {
	case n == 0:
		return "", fmt.Errorf("reason = %q; want why you do this, for those who will see it", reason)
	case n > maxReason:
		return "", fmt.Errorf("reason has %d characters; want at most %d", n, maxReason)
	case !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl):
		return "", fmt.Errorf("reason = %q; want one line of text in UTF-8", reason)
	}
	return reason, nil
}
