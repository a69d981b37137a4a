package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/seed-0b728cf8/httpbreaker/breaker"
)

// rules is what the file holds: rules for everybody, and for some hosts what is
// different there.
type rules struct {
	Default breaker.Config             `json:"default"`
	Hosts   map[string]json.RawMessage `json:"hosts"`
}

// load reads the file. It finds all mistakes: Override has no way to report any.
func load(file string) (breaker.Options, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return breaker.Options{}, err
	}
	var r rules
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return breaker.Options{}, err
	}
	hosts := make(map[string]breaker.Config, len(r.Hosts))
	for host, changes := range r.Hosts {
		c := r.Default // fields that are absent in changes stay as they are
		if err := json.Unmarshal(changes, &c); err != nil {
			return breaker.Options{}, fmt.Errorf("host %s: %w", host, err)
		}
		hosts[host] = c
	}
	return breaker.Options{
		Config: r.Default,
		Override: func(key string, c *breaker.Config) {
			// ByRoute's keys are "GET /search host"; what matches no route goes by host.
			host := key[strings.LastIndexByte(key, ' ')+1:]
			if special, ok := hosts[host]; ok {
				*c = special
			}
		},
	}, nil
}
