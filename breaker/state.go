package breaker

import "fmt"

// State is the state of a circuit. The zero State is [Closed].
type State uint8

const (
	// Closed lets calls through.
	Closed State = iota
	// Open rejects calls until a time has passed.
	Open
	// HalfOpen lets some calls through: probes, to test whether the peer is back;
	// a bounded number, after that; or a share, while a part of the calls fails
	// or hangs. The reason says which.
	HalfOpen
)

// Outcome is what one finished call says about the peer. The zero Outcome is
// [Ignored].
type Outcome uint8

const (
	// Ignored says nothing about the peer: the permit is given back and no rate
	// and no run is touched. For what the caller or this machine caused.
	Ignored Outcome = iota
	// Success says that the peer works.
	Success
	// Failure says that the peer does not.
	Failure
)

// Mode says what a breaker does with its decisions. The zero Mode is [Enforce].
type Mode uint8

const (
	// Enforce decides and rejects.
	Enforce Mode = iota
	// Observe decides and reports what it would have rejected, but rejects
	// nothing: the safe way to introduce a breaker.
	Observe
	// ForceOpen rejects every call until the mode is set again.
	ForceOpen
	// Disabled lets every call through until the mode is set again.
	Disabled
)

// Origin says who moved a circuit into its state. The zero Origin is [ByRules].
type Origin uint8

const (
	// ByRules: a rule of Config.
	ByRules Origin = iota
	// ByProbe: the time for a probe had come, or the outcome of probes and of the
	// slow start after them.
	ByProbe
	// ByPeer: the peer asked for it, see Permit.Trip.
	ByPeer
	// ByOperator: Trip, Reset or SetMode.
	ByOperator
	// ByFleet: Hold, for what other processes know.
	ByFleet
)

var (
	originNames  = [...]string{"rules", "probe", "peer", "operator", "fleet"}
	stateNames   = [...]string{"closed", "open", "half-open"}
	outcomeNames = [...]string{"ignored", "success", "failure"}
	modeNames    = [...]string{"enforce", "observe", "force-open", "disabled"}
)

// String returns "closed", "open" or "half-open".
func (s State) String() string { return nameOf(stateNames[:], uint8(s), "State") }

// String returns "ignored", "success" or "failure".
func (o Outcome) String() string { return nameOf(outcomeNames[:], uint8(o), "Outcome") }

// String returns "enforce", "observe", "force-open" or "disabled".
func (m Mode) String() string { return nameOf(modeNames[:], uint8(m), "Mode") }

// String returns "rules", "probe", "peer", "operator" or "fleet".
func (o Origin) String() string { return nameOf(originNames[:], uint8(o), "Origin") }

// MarshalText returns the name that String gives.
func (o Origin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText accepts the names that String gives; an unknown name is an
// error and changes nothing.
func (o *Origin) UnmarshalText(text []byte) error {
	i, err := indexOf(originNames[:], text, "origin")
	if err == nil {
		*o = Origin(i)
	}
	return err
}

// MarshalText returns the name that String gives.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalText returns the name that String gives.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// MarshalText returns the name that String gives.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText accepts the names that String gives; an unknown name is an
// error and changes nothing.
func (s *State) UnmarshalText(text []byte) error {
	i, err := indexOf(stateNames[:], text, "state")
	if err == nil {
		*s = State(i)
	}
	return err
}

// UnmarshalText accepts the names that String gives; an unknown name is an
// error and changes nothing.
func (o *Outcome) UnmarshalText(text []byte) error {
	i, err := indexOf(outcomeNames[:], text, "outcome")
	if err == nil {
		*o = Outcome(i)
	}
	return err
}

// UnmarshalText accepts the names that String gives; an unknown name is an
// error and changes nothing.
func (m *Mode) UnmarshalText(text []byte) error {
	i, err := indexOf(modeNames[:], text, "mode")
	if err == nil {
		*m = Mode(i)
	}
	return err
}

func nameOf(names []string, i uint8, kind string) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", kind, i)
}

func indexOf(names []string, text []byte, kind string) (int, error) {
	for i, name := range names {
		if name == string(text) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("breaker: unknown %s %q; want one of %q", kind, text, names)
}
