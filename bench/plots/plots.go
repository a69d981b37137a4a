// Package plots draws what came of simulated runs, as SVG: small multiples, one
// panel for each policy, all to one scale.
package plots

import (
	"bytes"
	"image/color"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

// Kind is what a chart shows over time.
type Kind uint8

const (
	Requests Kind = iota // what became of the requests, by when they were made
	InFlight             // calls in flight
	Arrivals             // calls that reach the server, and what it can do
)

// Chart is some runs of one scenario with one seed.
type Chart struct {
	Kind   Kind
	Panels []Panel
	// Capacity of the server, if it is limited: calls in a second at a time in
	// seconds since the beginning of the fault.
	Capacity func(t float64) float64
	// Seconds shown before and after the fault.
	Before, After float64
	Columns       int
}

// Panel is one run.
type Panel struct {
	Title string // the policy
	Note  string // its telling figure
	Ours  bool
	Run   *sim.Run
}

// Theme is the colours of a chart, for pages with a light or dark ground.
type Theme struct {
	Text, Faint, Fault         color.Color
	Answered, Failed, Rejected color.Color
}

// Light and Dark are the themes.
var (
	Light = Theme{
		Text: hex(0x1f2328), Faint: hex(0xd0d7de), Fault: hex(0x57606a),
		Answered: hex(0x3d8fd1), Failed: hex(0xd9480f), Rejected: hex(0xc9d1d9),
	}
	Dark = Theme{
		Text: hex(0xe6edf3), Faint: hex(0x3d444d), Fault: hex(0x9198a1),
		Answered: hex(0x4c9be8), Failed: hex(0xf0743e), Rejected: hex(0x4a525c),
	}
)

func hex(rgb uint32) color.Color {
	return color.NRGBA{R: uint8(rgb >> 16), G: uint8(rgb >> 8), B: uint8(rgb), A: 255}
}

// points is how many there are across a panel, at most.
const points = 75

// series are the values of one run, one for each stretch of time.
type series struct {
	t, answered, failed, rejected, sent, inFlight []float64
}

// over cuts the run down to what is shown and adds bins up to stretches.
func (c *Chart) over(r *sim.Run) series {
	width := max(1, int(math.Ceil((c.Before+r.FaultLength+c.After)/points)))
	from := r.FaultBin - min(r.FaultBin, int(c.Before))/width*width
	to := min(len(r.Bins)-1, r.FaultBin+int(r.FaultLength+c.After))
	origin := r.FaultBin
	if !c.faulty() {
		origin = from
	}
	var s series
	for i := from; i+width <= to; i += width {
		var sum sim.Bin
		for _, b := range r.Bins[i : i+width] {
			sum.OK += b.OK
			sum.Failed += b.Failed
			sum.Rejected += b.Rejected
			sum.Sent += b.Sent
			sum.InFlight = max(sum.InFlight, b.InFlight)
		}
		rate := func(n int) float64 { return float64(n) / float64(width) }
		s.t = append(s.t, float64(i-origin), float64(i+width-origin))
		for _, v := range []struct {
			to *[]float64
			v  float64
		}{
			{&s.answered, rate(sum.OK)}, {&s.failed, rate(sum.Failed)}, {&s.rejected, rate(sum.Rejected)},
			{&s.sent, rate(sum.Sent)}, {&s.inFlight, float64(sum.InFlight)},
		} {
			*v.to = append(*v.to, v.v, v.v)
		}
	}
	return s
}

const (
	panelWidth  = 2.15 * vg.Inch
	panelHeight = 1.45 * vg.Inch
)

// SVG draws c.
func (c *Chart) SVG(w io.Writer, theme Theme) error {
	rows := (len(c.Panels) + c.Columns - 1) / c.Columns
	width, height := vg.Length(c.Columns)*panelWidth, vg.Length(rows)*panelHeight
	legend := c.legend(theme, width, nil)
	svg := vgsvg.NewWith(vgsvg.UseWH(width, height+legend))
	all := draw.New(svg)
	top := c.top()
	grid := make([][]*plot.Plot, rows)
	for i, panel := range c.Panels {
		p, err := c.panel(panel, theme, top, i/c.Columns == rows-1 || i+c.Columns >= len(c.Panels), i%c.Columns == 0)
		if err != nil {
			return err
		}
		grid[i/c.Columns] = append(grid[i/c.Columns], p)
	}
	for len(grid[rows-1]) < c.Columns {
		grid[rows-1] = append(grid[rows-1], nil)
	}
	tiles := draw.Tiles{Rows: rows, Cols: c.Columns, PadX: 6, PadY: 8, PadRight: 8, PadLeft: 2}
	canvases := plot.Align(grid, tiles, draw.Crop(all, 0, 0, 0, -legend))
	for i := range grid {
		for j, p := range grid[i] {
			if p != nil {
				p.Draw(canvases[i][j])
			}
		}
	}
	c.legend(theme, width, &all)
	var file bytes.Buffer
	if _, err := svg.WriteTo(&file); err != nil {
		return err
	}
	// Who has no Liberation Sans has a font of the same widths.
	text := bytes.ReplaceAll(file.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	text = bytes.ReplaceAll(text, []byte("font-variant:normal;"), nil)
	text = bytes.ReplaceAll(text, []byte("font-style:normal;"), nil)
	text = bytes.ReplaceAll(text, []byte("font-weight:normal;"), nil)
	text = decimals.ReplaceAll(text, []byte("$1"))
	_, err := w.Write(text)
	return err
}

func (c *Chart) faulty() bool { return c.Panels[0].Run.FaultLength > 0 }

// decimals are those that nobody sees.
var decimals = regexp.MustCompile(`(\d\.\d)\d+`)

// top is the common upper end of the y axes.
func (c *Chart) top() float64 {
	top := 0.0
	for _, p := range c.Panels {
		s := c.over(p.Run)
		for i := range s.t {
			switch c.Kind {
			case Requests:
				top = max(top, s.answered[i]+s.failed[i]+s.rejected[i])
			case InFlight:
				top = max(top, s.inFlight[i])
			case Arrivals:
				top = max(top, s.sent[i])
			}
		}
	}
	return top * 1.02
}

func style(theme Theme, size vg.Length, weight bool) text.Style {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if weight {
		f.Weight = 3
	}
	return text.Style{Color: theme.Text, Font: f, Handler: plot.DefaultTextHandler}
}

func (c *Chart) panel(panel Panel, theme Theme, top float64, last, first bool) (*plot.Plot, error) {
	p := plot.New()
	p.BackgroundColor = nil
	p.Title.Text = panel.Title + "\n" + panel.Note
	p.Title.TextStyle = style(theme, 8, panel.Ours)
	p.Title.TextStyle.XAlign, p.Title.TextStyle.YAlign = draw.XCenter, draw.YTop
	p.Title.Padding = 2
	s := c.over(panel.Run)
	faultEnd := panel.Run.FaultLength

	for _, t := range []float64{0, faultEnd} {
		if !c.faulty() {
			break
		}
		line, err := plotter.NewLine(plotter.XYs{{X: t, Y: 0}, {X: t, Y: top}})
		if err != nil {
			return nil, err
		}
		line.Color, line.Width, line.Dashes = theme.Fault, 0.6, []vg.Length{2, 2}
		defer p.Add(line)
	}

	zero := make([]float64, len(s.t))
	area := func(lower, upper []float64, fill color.Color) error {
		polygon, err := between(s.t, lower, upper)
		if err != nil {
			return err
		}
		polygon.Color = fill
		polygon.LineStyle.Width = 0
		p.Add(polygon)
		return nil
	}
	var err error
	switch c.Kind {
	case Requests:
		failed := add(s.answered, s.failed)
		err = firstOf(area(zero, s.answered, theme.Answered), area(s.answered, failed, theme.Failed),
			area(failed, add(failed, s.rejected), theme.Rejected))
	case InFlight:
		err = area(zero, s.inFlight, theme.Failed)
	case Arrivals:
		err = area(zero, s.sent, theme.Failed)
		if c.Capacity != nil && err == nil {
			var xys plotter.XYs
			for _, t := range s.t {
				xys = append(xys, plotter.XY{X: t, Y: c.Capacity(t)})
			}
			var line *plotter.Line
			if line, err = plotter.NewLine(xys); err == nil {
				line.Color, line.Width = theme.Text, 1
				p.Add(line)
			}
		}
	}
	if err != nil {
		return nil, err
	}

	p.X.Min, p.X.Max = s.t[0], s.t[len(s.t)-1]
	p.Y.Min, p.Y.Max = 0, top
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.LineStyle.Width = theme.Faint, 0.6
		axis.Tick.LineStyle = draw.LineStyle{Color: theme.Faint, Width: 0.6}
		axis.Tick.Label = style(theme, 7, false)
		axis.Tick.Length = 3
		axis.Padding = 0
	}
	p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = draw.XCenter, draw.YTop
	p.Y.Tick.Label.XAlign, p.Y.Tick.Label.YAlign = draw.XRight, draw.YCenter
	p.X.Tick.Marker = ticks(timeStep(p.X.Max-p.X.Min), timeLabel, last)
	p.Y.Tick.Marker = ticks(countStep(top), countLabel, first)
	return p, nil
}

// ticks are a step apart, without labels if they are not wanted.
func ticks(step float64, label func(float64) string, labelled bool) plot.Ticker {
	return plot.TickerFunc(func(lo, hi float64) []plot.Tick {
		var all []plot.Tick
		for v := math.Ceil(lo/step) * step; v <= hi; v += step {
			tick := plot.Tick{Value: v, Label: " "}
			if labelled {
				tick.Label = label(v)
			}
			all = append(all, tick)
		}
		return all
	})
}

// timeStep is a round time that fits into span two to five times.
func timeStep(span float64) float64 {
	steps := []float64{5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800}
	for _, step := range steps {
		if span/step <= 5 {
			return step
		}
	}
	return 3600
}

// countStep is the greatest 1, 2 or 5 times a power of ten that fits into top twice.
func countStep(top float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(top)))
	for _, part := range []float64{5, 2, 1, 0.5} {
		if top/(power*part) >= 2 {
			return power * part
		}
	}
	return power / 5
}

func countLabel(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }

func timeLabel(t float64) string {
	switch {
	case t == 0:
		return "0"
	case t < 0:
		return "−" + timeLabel(-t)
	case math.Mod(t, 60) == 0:
		return strconv.FormatFloat(t/60, 'f', 0, 64) + " min"
	}
	return strconv.FormatFloat(t, 'f', -1, 64) + " s"
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func add(a, b []float64) []float64 {
	sum := make([]float64, len(a))
	for i := range a {
		sum[i] = a[i] + b[i]
	}
	return sum
}

// between is the area between two curves, without the points that add nothing.
func between(t, lower, upper []float64) (*plotter.Polygon, error) {
	var xys plotter.XYs
	point := func(i int, y []float64) {
		if i > 0 && i < len(t)-1 && y[i] == y[i-1] && y[i] == y[i+1] {
			return
		}
		xys = append(xys, plotter.XY{X: t[i], Y: y[i]})
	}
	for i := range t {
		point(i, upper)
	}
	for i := range slices.Backward(t) {
		point(i, lower)
	}
	return plotter.NewPolygon(xys)
}

// key is an entry of the legend: an area or, with dashes or not, a line.
type key struct {
	name   string
	color  color.Color
	line   bool
	dashes []vg.Length
}

func (c *Chart) keys(theme Theme) []key {
	fault := key{name: "the fault is between these", color: theme.Fault, line: true, dashes: []vg.Length{2, 2}}
	switch c.Kind {
	case InFlight:
		return []key{{name: "calls in flight", color: theme.Failed}, fault}
	case Arrivals:
		keys := []key{{name: "calls a second that reach the server", color: theme.Failed}}
		if c.Capacity != nil {
			keys = append(keys, key{name: "what it can do", color: theme.Text, line: true})
		}
		return append(keys, fault)
	default:
		keys := []key{
			{name: "answered, a second", color: theme.Answered}, {name: "sent and failed", color: theme.Failed},
			{name: "rejected by the breaker", color: theme.Rejected},
		}
		if c.faulty() {
			keys = append(keys, fault)
		}
		return keys
	}
}

// legend lays the keys out in rows of the given width, draws them if there is a
// canvas, and returns the height of all.
func (c *Chart) legend(theme Theme, width vg.Length, on *draw.Canvas) vg.Length {
	const margin, box, gap, row = 6, 14, 16, 14
	st := style(theme, 8, false)
	st.YAlign = draw.YCenter
	x, y := vg.Length(margin), vg.Length(row)
	for _, k := range c.keys(theme) {
		wide := box + 4 + st.Width(k.name)
		if x > margin && x+wide > width {
			x, y = margin, y+row
		}
		if on != nil {
			left, middle := on.Min.X+x, on.Max.Y-y+row/2
			if k.line {
				on.StrokeLine2(draw.LineStyle{Color: k.color, Width: 1, Dashes: k.dashes}, left, middle, left+box, middle)
			} else {
				on.FillPolygon(k.color, []vg.Point{
					{X: left, Y: middle - 4}, {X: left + box, Y: middle - 4}, {X: left + box, Y: middle + 4}, {X: left, Y: middle + 4},
				})
			}
			on.FillText(st, vg.Point{X: left + box + 4, Y: middle}, k.name)
		}
		x += wide + gap
	}
	return y + row/2
}
