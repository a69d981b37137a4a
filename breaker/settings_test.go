package breaker

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-0b728cf8/httpbreaker/internal/doctest"
)

// The table of docs/settings.md has a row for each field, with its name in files and its
// default, and the complete file that it shows is the default.
func TestSettingsPage(t *testing.T) {
	page := doctest.Check(t, "../docs/settings.md")
	defaults := (Config{}).withDefaults()
	var names []string
	for _, f := range defaults.fields() {
		names = append(names, f.name)
	}

	rows := regexp.MustCompile("(?m)^\\| (\\w+) \\| `(\\w+)` \\| ([^|]*) \\|").FindAllStringSubmatch(page, -1)
	if len(rows) != len(names) {
		t.Errorf("%d rows for %d fields", len(rows), len(names))
	}
	for i, row := range rows[:min(len(rows), len(names))] {
		if want := strings.ReplaceAll(row[2], "_", ""); row[2] != names[i] || !strings.EqualFold(row[1], want) {
			t.Errorf("row %d is %s, %s; want %s", i+1, row[1], row[2], names[i])
		}
		var of Config
		value := strings.Trim(row[3], "`")
		switch _, isText := reflect.TypeFor[Config]().FieldByName(row[1]); {
		case !isText:
			t.Errorf("no field %s", row[1])
		case value == "off":
			continue // compared below
		case strings.Contains(row[3], "`"):
			value = `"` + value + `"`
		}
		if err := json.Unmarshal([]byte(`{"`+row[2]+`":`+value+`}`), &of); err != nil {
			t.Error(err)
		}
		if got, want := reflect.ValueOf(of).FieldByName(row[1]), reflect.ValueOf(defaults).FieldByName(row[1]); !got.Equal(want) {
			t.Errorf("default of %s is %v, the page says %v", row[1], want, got)
		}
	}

	file := regexp.MustCompile("(?s)```json\n(.*?)```").FindStringSubmatch(page)[1]
	var read Config
	if err := json.Unmarshal([]byte(file), &read); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read, defaults) {
		t.Errorf("the file is\n%+v\nwant\n%+v", read, defaults)
	}
	for _, name := range names {
		if !strings.Contains(file, `"`+name+`":`) {
			t.Errorf("the file lacks %q", name)
		}
	}
}
