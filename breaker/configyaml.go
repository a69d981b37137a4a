package breaker

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"time"
)

// UnmarshalYAML reads from YAML what UnmarshalJSON reads from JSON, under the
// same names and rules: durations as "10s", fields that are absent keep what c
// held, and unknown fields are an error. It is what gopkg.in/yaml.v3,
// go.yaml.in/yaml/v3 and github.com/goccy/go-yaml call for a Config that they
// meet; sigs.k8s.io/yaml calls UnmarshalJSON.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	var given map[string]any
	if err := unmarshal(&given); err != nil {
		return fmt.Errorf("breaker: Config: %w", err)
	}
	fields := make(map[string]json.RawMessage, len(given))
	for name, value := range given {
		fields[name] = jsonOf(value)
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("breaker: Config: %w", err)
	}
	return c.UnmarshalJSON(data)
}

// jsonOf returns a value that was read from YAML as JSON. What JSON has no word
// for, such as .nan, becomes a string, which is refused with its field's name.
func jsonOf(value any) json.RawMessage {
	if text, ok := value.(string); ok { // for some packages 1e-5 is no number
		if _, err := strconv.ParseFloat(text, 64); err == nil && json.Valid([]byte(text)) {
			return json.RawMessage(text)
		}
	}
	data, err := json.Marshal(value)
	if err != nil {
		data, _ = json.Marshal(fmt.Sprint(value))
	}
	return data
}

// MarshalYAML returns what UnmarshalYAML reads, for the same packages to write:
// every field but Trip, with durations as "10s".
func (c Config) MarshalYAML() (any, error) {
	fields := make(map[string]any)
	for _, f := range c.fields() {
		switch v := f.value.(type) {
		case *duration:
			fields[f.name] = time.Duration(*v).String()
		case fmt.Stringer:
			fields[f.name] = v.String()
		default:
			fields[f.name] = reflect.ValueOf(v).Elem().Interface()
		}
	}
	return fields, nil
}
