package plots

import (
	"image/color"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

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
