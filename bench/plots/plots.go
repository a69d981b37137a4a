// Package plots draws what came of simulated runs, as SVG: small multiples, one
// panel for each policy, all to one scale.
package plots

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/seed-0b728cf8/httpbreaker/bench/sim"
)

// The kinds of charts.
const (
	Requests = sim.Requests
	InFlight = sim.InFlight
	Arrivals = sim.Arrivals
)

// Chart is some runs of one scenario with one seed.
type Chart struct {
	Kind   sim.Kind
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

// Light and Dark are the themes. A chart in Light turns Dark where its reader
// prefers that.
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
	_, err := io.WriteString(w, strings.Replace(lighter(file.String()), "<g ", theme.sheet()+"<g ", 1))
	return err
}

// lighter leaves out of a drawing what goes without saying.
func lighter(svg string) string {
	svg = strings.NewReplacer("font-family:Liberation Sans;", "", "font-variant:normal;", "", "font-style:normal;", "",
		"font-weight:normal;", "").Replace(svg)
	return decimals.ReplaceAllString(svg, "$1")
}

// sheet is the style sheet of a chart. Who has no Liberation Sans has a font of
// the same widths.
func (t Theme) sheet() string {
	var s strings.Builder
	s.WriteString("<style>text{font-family:Liberation Sans,Arial,Helvetica,sans-serif}")
	if t == Light {
		s.WriteString("@media(prefers-color-scheme:dark){")
		dark := Dark.colors()
		for i, light := range Light.colors() {
			for _, what := range []string{"fill", "stroke"} {
				fmt.Fprintf(&s, `[style*="%s:%s"]{%s:%s!important}`, what, css(light), what, css(dark[i]))
			}
		}
		s.WriteString("}")
	}
	s.WriteString("</style>\n")
	return s.String()
}

func (t Theme) colors() []color.Color {
	return []color.Color{t.Text, t.Faint, t.Fault, t.Answered, t.Failed, t.Rejected}
}

// css is a colour as the drawing has it.
func css(c color.Color) string {
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02X%02X%02X", r>>8, g>>8, b>>8)
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

	area := func(upper []float64, fill color.Color) error {
		polygon, err := under(s.t, upper)
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
		// Each covers the foot of the one before it.
		failed := add(s.answered, s.failed)
		err = errors.Join(area(add(failed, s.rejected), theme.Rejected), area(failed, theme.Failed), area(s.answered, theme.Answered))
	case InFlight:
		err = area(s.inFlight, theme.Failed)
	case Arrivals:
		err = area(s.sent, theme.Failed)
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

func add(a, b []float64) []float64 {
	sum := make([]float64, len(a))
	for i := range a {
		sum[i] = a[i] + b[i]
	}
	return sum
}

// under is the area under a curve, without the points that add nothing.
func under(t, y []float64) (*plotter.Polygon, error) {
	last := len(t) - 1
	xys := plotter.XYs{{X: t[last]}, {X: t[0]}}
	for i := range t {
		if i == 0 || i == last || y[i] != y[i-1] || y[i] != y[i+1] {
			xys = append(xys, plotter.XY{X: t[i], Y: y[i]})
		}
	}
	return plotter.NewPolygon(xys)
}
