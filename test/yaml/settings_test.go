package yaml

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// The two files that docs/settings.md shows say the same.
func TestYAMLAndJSONOfThePageAreOneConfig(t *testing.T) {
	page, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) []byte {
		return regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(page)[1]
	}
	var fromJSON, fromYAML breaker.Config
	if err := json.Unmarshal(block("json"), &fromJSON); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(block("yaml"), &fromYAML); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(fromJSON, fromYAML) || reflect.DeepEqual(fromYAML, breaker.Config{}) {
		t.Errorf("JSON gives %+v\nYAML %+v", fromJSON, fromYAML)
	}
	if err := yaml.Unmarshal([]byte("open_for: 1ms"), &fromYAML); err == nil {
		t.Error("a bad value is read")
	}
}
