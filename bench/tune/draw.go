package main

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/seed-0b728cf8/httpbreaker/bench/plots"
	"github.com/seed-0b728cf8/httpbreaker/bench/tune/replay"
)

// The drawing of a replay: a row for each guard, all to one scale.
const (
	drawnWidth  = 960.0
	drawnLeft   = 52.0
	drawnRight  = 12.0
	rowHeight   = 96.0
	rowTitle    = 22.0
	rowGap      = 14.0
	legendSpace = 34.0
	axisSpace   = 26.0
)

// drawReplay draws what became of the calls over time, as SVG.
func drawReplay(w io.Writer, results []*replay.Result, theme plots.Theme) error {
	top, cut := drawnTop(results)
	var svg bytes.Buffer
	height := legendSpace + float64(len(results))*(rowTitle+rowHeight+rowGap) + axisSpace
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" viewBox="0 0 %[1]g %[2]g" font-family="Liberation Sans,Arial,Helvetica,sans-serif" font-size="12">`+"\n",
		drawnWidth, height)
	drawLegend(&svg, theme, cut)
	y := legendSpace
	for i, r := range results {
		drawRow(&svg, r, theme, y, top, i == len(results)-1)
		y += rowTitle + rowHeight + rowGap
	}
	svg.WriteString("</svg>\n")
	_, err := w.Write(svg.Bytes())
	return err
}

// drawnTop is the upper end of the axis, in calls a second. Where failures are few it
// is so low that they can be seen, and answers are cut off.
func drawnTop(results []*replay.Result) (top float64, cut bool) {
	const visible = 4
	trouble := 0.0
	for _, r := range results {
		for _, b := range r.Bins {
			top = max(top, rate(r, b.Good+b.Failed+b.Ignored+b.Rejected))
			trouble = max(trouble, rate(r, b.Failed+b.Rejected))
		}
	}
	if trouble > 0 && visible*trouble < top {
		top, cut = visible*trouble, true
	}
	power := math.Pow(10, math.Floor(math.Log10(max(top, 1e-9))))
	for _, part := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8, 10} {
		if top <= part*power {
			return part * power, cut
		}
	}
	return top, cut
}

// rate is calls a second.
func rate(r *replay.Result, calls int) float64 { return float64(calls) / r.Width.Seconds() }

func drawLegend(svg *bytes.Buffer, theme plots.Theme, cut bool) {
	answered := "answered, a second"
	if cut {
		answered = "answered, a second, cut off at the top"
	}
	x := drawnLeft
	for _, key := range []struct {
		name  string
		color color.Color
	}{{"sent and failed", theme.Failed}, {"rejected by the breaker", theme.Rejected}, {answered, theme.Answered}} {
		fmt.Fprintf(svg, `<rect x="%g" y="10" width="14" height="10" fill="%s"/>`, x, hexOf(key.color))
		fmt.Fprintf(svg, `<text x="%g" y="19" fill="%s">%s</text>`+"\n", x+19, hexOf(theme.Text), key.name)
		x += 40 + 7*float64(len(key.name))
	}
}

func drawRow(svg *bytes.Buffer, r *replay.Result, theme plots.Theme, y, top float64, last bool) {
	text, faint := hexOf(theme.Text), hexOf(theme.Faint)
	note := fmt.Sprintf("%s failures spared, %s good answers lost", part(r.Total.Spared, r.Total.Failed), part(r.Total.Lost, r.Total.Good))
	fmt.Fprintf(svg, `<text x="%g" y="%g" fill="%s"><tspan font-weight="bold">%s</tspan> %s</text>`+"\n",
		drawnLeft, y+14, text, html.EscapeString(r.Guard.Name), html.EscapeString(note))
	y += rowTitle
	bottom := y + rowHeight
	wide := (drawnWidth - drawnLeft - drawnRight) / float64(max(1, len(r.Bins)))
	below := make([]float64, len(r.Bins))
	for _, layer := range []struct {
		color color.Color
		of    func(replay.Bin) int
	}{
		{theme.Failed, func(b replay.Bin) int { return b.Failed }},
		{theme.Rejected, func(b replay.Bin) int { return b.Rejected }},
		{theme.Answered, func(b replay.Bin) int { return b.Good + b.Ignored }},
	} {
		fmt.Fprintf(svg, `<path shape-rendering="crispEdges" fill="%s" d="`, hexOf(layer.color))
		for i, b := range r.Bins {
			n := min(rate(r, layer.of(b))/top*rowHeight, rowHeight-below[i])
			if n <= 0 {
				continue
			}
			from, to := drawnLeft+float64(i)*wide, drawnLeft+float64(i+1)*wide
			fmt.Fprintf(svg, "M%.1f %.1fH%.1fv%.1fH%.1fz", from, bottom-below[i], to, -n, from)
			below[i] += n
		}
		svg.WriteString("\"/>\n")
	}
	fmt.Fprintf(svg, `<path stroke="%s" fill="none" d="M%g %gV%gH%g"/>`+"\n", faint, drawnLeft, y, bottom, drawnWidth-drawnRight)
	for _, v := range []float64{0, top} {
		fmt.Fprintf(svg, `<text x="%g" y="%.1f" fill="%s" text-anchor="end" font-size="10">%s</text>`+"\n",
			drawnLeft-5, bottom-v/top*rowHeight+3, text, strconv.FormatFloat(v, 'f', -1, 64))
	}
	drawTimes(svg, r, theme, bottom, wide, last)
}

// drawTimes draws ticks at round times, with labels below the last row.
func drawTimes(svg *bytes.Buffer, r *replay.Result, theme plots.Theme, bottom, wide float64, labelled bool) {
	span := time.Duration(len(r.Bins)) * r.Width
	step := tickStep(span)
	layout := "15:04"
	switch {
	case step >= 24*time.Hour:
		layout = "Jan 2"
	case span >= 24*time.Hour:
		layout = "Jan 2 15:04"
	case step < time.Minute:
		layout = "15:04:05"
	}
	begin := time.Unix(0, r.Begin).UTC()
	for at := begin.Truncate(step); at.Before(begin.Add(span)); at = at.Add(step) {
		if at.Before(begin) {
			continue
		}
		x := drawnLeft + float64(at.Sub(begin))/float64(r.Width)*wide
		fmt.Fprintf(svg, `<path stroke="%s" d="M%.1f %.1fv4"/>`, hexOf(theme.Faint), x, bottom)
		if labelled {
			fmt.Fprintf(svg, `<text x="%.1f" y="%.1f" fill="%s" text-anchor="middle" font-size="10">%s</text>`, x, bottom+15, hexOf(theme.Text), at.Format(layout))
		}
		svg.WriteByte('\n')
	}
}

// tickStep is a round time of which at most ten fit into span.
func tickStep(span time.Duration) time.Duration {
	for _, step := range []time.Duration{
		time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
		30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
	} {
		if span/step <= 10 {
			return step
		}
	}
	return time.Duration(math.Ceil(float64(span)/10/float64(24*time.Hour))) * 24 * time.Hour
}

func hexOf(c color.Color) string {
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}
