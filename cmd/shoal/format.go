package main

// How addresses and times are written for people; internal/words has what the page writes the same.

import (
	"fmt"
	"strings"
	"time"

	"github.com/shoalgrid/shoal/internal/words"
)

// where is each place of some addresses once, as host:port.
func where(addrs []string) string {
	var places []string
	for _, a := range addrs {
		place := words.Place(a)
		if place != "" && (len(places) == 0 || places[len(places)-1] != place) {
			places = append(places, place)
		}
	}
	if len(places) > 2 {
		places = append(places[:2], "…")
	}
	return strings.Join(places, ", ")
}

// span is a duration in its two largest units.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour:
		return pair(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	}
	return pair(int(d.Hours())/24, "d", int(d.Hours())%24, "h")
}

func pair(a int, unitA string, b int, unitB string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, unitA)
	}
	return fmt.Sprintf("%d %s %d %s", a, unitA, b, unitB)
}
