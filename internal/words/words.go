// Package words writes ids, numbers, sizes and names as people read them, on the terminal, on the
// web page and in the messages of a node: the same thing looks the same everywhere.
package words

import (
	"fmt"
	"net"
	"strings"

	"github.com/dustin/go-humanize"
)

// shortID is how much of a job's id people see, and shortPeer from how many letters on a peer ID is
// cut in the middle.
const (
	shortID   = 8
	shortPeer = 12
)

// Short is a job's id as people see it: its beginning, by which commands know it, too.
func Short(id string) string { return id[:min(len(id), shortID)] }

// Peer is a peer ID as people see it. All begin alike, so its end tells more.
func Peer(id string) string {
	if len(id) < shortPeer {
		return id
	}
	return id[:4] + "…" + id[len(id)-4:]
}

// Who is a node by the name that it gives itself, "" for none. A name proves nothing, so the peer ID
// stands beside it.
func Who(name, peer string) string {
	if name == "" {
		return Peer(peer)
	}
	return name + " (" + Peer(peer) + ")"
}

// Place is a multiaddr as host:port, "" where it has none.
func Place(addr string) string {
	parts := strings.Split(addr, "/") // "", "ip4", the host, "tcp", the port, …
	if len(parts) < 5 {
		return ""
	}
	return net.JoinHostPort(parts[2], parts[4])
}

// Comma is a number in groups of three digits.
func Comma[N integer](n N) string { return humanize.Comma(int64(n)) }

type integer interface {
	~int | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Count is a number of things: "1 unit", "4,096 units".
func Count[N integer](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return Comma(n) + " " + thing + "s"
}

// Part is some of so many things: "3 of 1,200 units".
func Part[N, M integer](n N, of M, thing string) string { return Comma(n) + " of " + Count(of, thing) }

// Size is a number of bytes: "512 B", "1.5 MiB", "4 GiB".
func Size(bytes uint64) string { return strings.Replace(humanize.IBytes(bytes), ".0 ", " ", 1) }

// Rate is how often something happens, and in what unit of time: "2.5" a "min".
func Rate(perSecond float64) (number, unit string) {
	switch {
	case perSecond >= 10:
		return fmt.Sprintf("%.0f", perSecond), "s"
	case perSecond >= 1:
		return fmt.Sprintf("%.1f", perSecond), "s"
	case perSecond*60 >= 1:
		return fmt.Sprintf("%.1f", perSecond*60), "min"
	}
	return fmt.Sprintf("%.1f", perSecond*3600), "h"
}
