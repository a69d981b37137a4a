package main

import (
	"os"
	"path/filepath"

	"github.com/seed-0b728cf8/httpbreaker/bench/plots"
)

// draw writes the plot of Scaling, for light pages and dark ones.
func (p *page) draw(dir string) error {
	s := p.Scaling()
	if s == nil {
		return nil
	}
	chart := plots.Lines{X: "GOMAXPROCS", Y: "ns of CPU time a call", Names: s.Procs}
	for _, line := range s.Lines {
		l := plots.Line{Title: line.Title}
		for _, f := range line.Figures {
			l.Values = append(l.Values, f.median)
		}
		chart.Lines = append(chart.Lines, l)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for name, theme := range map[string]plots.Theme{"light": plots.Light, "dark": plots.Dark} {
		file, err := os.Create(filepath.Join(dir, "scaling-"+name+".svg"))
		if err != nil {
			return err
		}
		if err := chart.SVG(file, theme); err != nil {
			_ = file.Close()
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}
