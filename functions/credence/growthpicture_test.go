package main

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"
)

// colours of the lines, told apart also by those who see no red or green.
var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7"}

const (
	panelWidth, panelHeight = 300.0, 240.0
	lowest, highest         = -5.0, 1.0 // decimal logarithms of seconds
)

// draw makes an SVG of two panels, both with logarithmic axes.
func draw(credentials, organisations []measured) []byte {
	var out bytes.Buffer
	_, _ = fmt.Fprint(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 340" font-family="sans-serif" font-size="12">`+"\n"+
		`<rect width="800" height="340" fill="white"/>`+"\n")
	panel(&out, 60, "credentials in one organisation", credentials)
	panel(&out, 450, "organisations", organisations)
	for i, name := range operations {
		x := 70 + 180*i
		_, _ = fmt.Fprintf(&out, `<line x1="%d" y1="325" x2="%d" y2="325" stroke="%s" stroke-width="2"/><text x="%d" y="329">%s</text>`+"\n", x, x+20, colours[i], x+26, name)
	}
	_, _ = fmt.Fprintln(&out, "</svg>")
	return out.Bytes()
}

func panel(out *bytes.Buffer, left float64, title string, points []measured) {
	largest := 1.0
	if len(points) > 0 {
		largest = max(largest, math.Log10(float64(points[len(points)-1].size)))
	}
	x := func(size int) float64 { return left + panelWidth*math.Log10(float64(size))/largest }
	y := func(seconds float64) float64 {
		return 20 + panelHeight*(highest-math.Log10(seconds))/(highest-lowest)
	}
	for e := lowest; e <= highest; e++ {
		_, _ = fmt.Fprintf(out, `<line x1="%.0f" y1="%.1f" x2="%.0f" y2="%.1f" stroke="#ddd"/><text x="%.0f" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, y(math.Pow(10, e)), left+panelWidth, y(math.Pow(10, e)), left-6, y(math.Pow(10, e))+4, time.Duration(math.Round(math.Pow(10, e+9))))
	}
	for _, p := range points {
		_, _ = fmt.Fprintf(out, `<text x="%.0f" y="276" text-anchor="middle">%d</text>`+"\n", x(p.size), p.size)
	}
	_, _ = fmt.Fprintf(out, `<text x="%.0f" y="298" text-anchor="middle" font-weight="bold">%s</text>`+"\n", left+panelWidth/2, title)
	for i := range operations {
		_, _ = fmt.Fprintf(out, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, colours[i])
		for _, p := range points {
			_, _ = fmt.Fprintf(out, "%.1f,%.1f ", x(p.size), y(p.times[i].Seconds()))
		}
		_, _ = fmt.Fprintln(out, `"/>`)
	}
}

// TestDraw: a time ten times as long is drawn a sixth of the height above.
func TestDraw(t *testing.T) {
	points := []measured{{1, []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond, time.Millisecond}}, {100, []time.Duration{10 * time.Millisecond, time.Millisecond, time.Millisecond, time.Millisecond}}}
	if got := draw(points, nil); !bytes.Contains(got, []byte(`points="60.0,180.0 360.0,140.0 "`)) {
		t.Errorf("the line is not there:\n%s", got)
	}
}
