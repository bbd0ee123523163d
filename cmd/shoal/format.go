package main

// How ids, addresses, numbers, sizes and times are written for people.

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// short is a job id as people see it.
func short(id string) string { return id[:min(len(id), 8)] }

// shortPeer is a peer ID as people see it.
func shortPeer(id string) string {
	if len(id) < 12 {
		return id
	}
	return id[:4] + "…" + id[len(id)-4:]
}

// where is each place of some addresses once, as host:port.
func where(addrs []string) string {
	var places []string
	for _, a := range addrs {
		parts := strings.Split(a, "/")
		if len(parts) < 5 {
			continue
		}
		place := parts[2] + ":" + parts[4]
		if strings.Contains(parts[2], ":") {
			place = "[" + parts[2] + "]:" + parts[4]
		}
		if len(places) == 0 || places[len(places)-1] != place {
			places = append(places, place)
		}
	}
	if len(places) > 2 {
		places = append(places[:2], "…")
	}
	return strings.Join(places, ", ")
}

func count(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return humanize.Comma(n) + " " + thing + "s"
}

// part is some of so many things.
func part[N int | int64 | uint64](n N, of int64, thing string) string {
	return humanize.Comma(int64(n)) + " of " + count(of, thing)
}

func size(bytes uint64) string { return strings.Replace(humanize.IBytes(bytes), ".0 ", " ", 1) }

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
