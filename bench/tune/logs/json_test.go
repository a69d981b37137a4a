package logs

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzJSONFields compares with package encoding/json.
func FuzzJSONFields(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1}`, ` { "a" : "b\\" , "c":{"d":[1,{"e":"]"}],"f":null} ,"g":-1.5e3} `, `{"a":[]}`, `{"a":"\u00e9\""}`, `{"":{"":""}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := map[string]string{}
		err := jsonFields(text, func(path, value []byte) { got[string(path)] = string(value) })
		var want map[string]json.RawMessage
		if json.Unmarshal(text, &want) != nil || want == nil {
			return
		}
		if err != nil {
			t.Fatalf("%v for the valid object %q", err, text)
		}
		if bytes.ContainsAny(text, `\.`) || !utf8.Valid(text) { // names are compared as they are written
			return
		}
		for name, value := range want {
			if value[0] == '{' || value[0] == '[' {
				continue
			}
			if string(bytes.Trim(value, `"`)) != got[name] {
				t.Errorf("%q is %q, want %s, in %q", name, got[name], value, text)
			}
		}
	})
}
