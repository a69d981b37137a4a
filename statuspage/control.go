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
	maxReason = 200     // characters
	maxForm   = 8 << 10 // bytes
)

// control answers POST circuits/{key}/mode and POST circuits/{key}/reset; path
// is what follows "circuits/".
func (h *handler) control(w http.ResponseWriter, r *http.Request, path string) {
	key, isMode := strings.CutSuffix(path, "/mode")
	key, isReset := strings.CutSuffix(key, "/reset")
	switch {
	case isMode == isReset:
		methodNotAllowed(w, "GET, HEAD")
		return
	case h.opts.Control == nil:
		fail(w, http.StatusNotFound, "controls are off: statuspage.Options.Control is not set")
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
	if name := r.PostForm.Get("mode"); isMode && mode.UnmarshalText([]byte(name)) != nil {
		fail(w, http.StatusBadRequest, `mode = %q; want "enforce", "observe", "force-open" or "disabled"`, name)
		return
	}
	b, ok := h.lookup(w, key)
	if !ok {
		return
	}
	done := controlEvent{Key: b.Key(), At: time.Now(), Action: "reset", Reason: reason}
	if isMode {
		done.Action, done.Mode = "mode", &mode
	}
	h.events.publish("control", done) // before the transition that it causes
	if isMode {
		b.SetMode(mode, reason)
	} else {
		b.Reset()
	}
	reply(w, http.StatusOK, b.Snapshot())
}

// controlEvent says what an operator did.
type controlEvent struct {
	Key    string        `json:"key"`
	At     time.Time     `json:"at"`
	Action string        `json:"action"` // "mode" or "reset"
	Mode   *breaker.Mode `json:"mode,omitempty"`
	Reason string        `json:"reason"`
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
