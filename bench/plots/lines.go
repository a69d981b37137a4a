package plots

import (
	"bytes"
	"image/color"
	"io"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Lines is a chart of values at the same few places, which stand at equal distances.
// Both axes begin at the left and at zero.
type Lines struct {
	X, Y  string   // what the axes are
	Names []string // of the places
	Lines []Line
}

// Line is one of them, with its name at its right end. A NaN is left out.
type Line struct {
	Title  string
	Values []float64
}

// SVG draws l.
func (l *Lines) SVG(w io.Writer, theme Theme) error {
	const width, height = 6.4 * vg.Inch, 3 * vg.Inch
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text, p.Y.Label.Text = l.X, l.Y
	p.X.Label.TextStyle, p.Y.Label.TextStyle = style(theme, 8, false), style(theme, 8, false)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color = theme.Faint
		axis.Tick.Color = theme.Faint
		axis.Tick.Label = style(theme, 8, false)
		axis.Label.TextStyle.XAlign = draw.XCenter
	}
	p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = draw.XCenter, draw.YTop
	p.Y.Tick.Label.XAlign, p.Y.Tick.Label.YAlign = draw.XRight, draw.YCenter
	p.Legend.TextStyle = style(theme, 8, false)
	p.Legend.Top, p.Legend.Left, p.Legend.ThumbnailWidth = true, true, 14
	p.Legend.Padding = 3

	top := 1.0
	colors := []color.Color{theme.Fault, theme.Rejected, theme.Failed, theme.Answered, theme.Answered}
	for i, line := range l.Lines {
		var xys plotter.XYs
		for at, v := range line.Values {
			if !math.IsNaN(v) {
				xys = append(xys, plotter.XY{X: float64(at), Y: v})
				top = max(top, v)
			}
		}
		if len(xys) == 0 {
			continue
		}
		curve, points, err := plotter.NewLinePoints(xys)
		if err != nil {
			return err
		}
		curve.Color, curve.Width = colors[i%len(colors)], 1.2
		if i == len(l.Lines)-2 { // two in one colour
			curve.Dashes = []vg.Length{4, 2}
		}
		points.Color, points.Shape, points.Radius = curve.Color, draw.CircleGlyph{}, 2
		p.Add(curve, points)
		p.Legend.Add(line.Title, curve)
	}
	p.X.Min, p.X.Max = 0, float64(len(l.Names)-1)
	p.Y.Min, p.Y.Max = 0, top*1.4 // the legend stands above the lines
	p.X.Tick.Marker = plot.ConstantTicks(places(l.Names))
	p.Y.Tick.Marker = ticks(countStep(top), countLabel, true)

	svg := vgsvg.NewWith(vgsvg.UseWH(width, height))
	p.Draw(draw.Crop(draw.New(svg), 4, -12, 4, -4))
	var file bytes.Buffer
	if _, err := svg.WriteTo(&file); err != nil {
		return err
	}
	_, err := io.WriteString(w, strings.Replace(lighter(file.String()), "<g ", theme.sheet()+"<g ", 1))
	return err
}

func places(names []string) []plot.Tick {
	var all []plot.Tick
	for i, name := range names {
		all = append(all, plot.Tick{Value: float64(i), Label: name})
	}
	return all
}
