package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/api"
)

// chartDays is how many days an account's chart shows.
const chartDays = 14

// glyphs draw a column of a chart: nothing first, full last.
type glyphs []string

// glyphsOf are those of a terminal that shows UTF-8, or of one that may not.
func glyphsOf(utf8 bool) glyphs {
	if utf8 {
		return glyphs{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}
	}
	return glyphs{" ", ".", ":", "-", "=", "+", "*", "#"}
}

// showsUTF8 is what the environment says of the terminal, as the C library reads it.
func showsUTF8(env func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToUpper(env(name)); value != "" {
			return strings.Contains(value, "UTF-8") || strings.Contains(value, "UTF8")
		}
	}
	return false
}

// creditChart draws the CPU of the last days, a column a day, when there is any.
func creditChart(w io.Writer, done []api.Done, now time.Time, g glyphs) {
	var days [chartDays]float64
	most := 0.0
	first := now.UTC().AddDate(0, 0, 1-chartDays)
	for _, d := range done {
		day, err := time.Parse(time.DateOnly, d.Day)
		if err != nil {
			continue // of all days that are not told one by one
		}
		at := int(day.Sub(first.Truncate(24*time.Hour)).Hours() / 24)
		if at >= 0 && at < chartDays {
			days[at] += d.CPUSeconds
			most = max(most, days[at])
		}
	}
	if most == 0 {
		return
	}
	var bars strings.Builder
	for _, s := range days {
		bars.WriteString(g[level(s, most, len(g))])
	}
	fmt.Fprintf(w, "CPU a day  |%s|  %s to today, at most %s\n\n", bars.String(), first.Format("2 Jan"), span(time.Duration(most*float64(time.Second))))
}

// level is the glyph for a value: nothing only for nothing, full only for the most.
func level(value, most float64, n int) int {
	if value <= 0 {
		return 0
	}
	return max(1, min(int(value/most*float64(n-1)), n-1))
}

// terminalGlyphs are those for this process's terminal.
func terminalGlyphs() glyphs { return glyphsOf(showsUTF8(os.Getenv)) }
