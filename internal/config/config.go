// Package config is what a person may set about a node: one struct, with a default for
// everything. A flag beats the environment (SHOAL_…), which beats config.toml in the home,
// which beats the default.
package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/adrg/xdg"
	"github.com/dustin/go-humanize"

	"github.com/shoalgrid/shoal/worker/wishes"
)

// FileName is the name of the configuration file in the home.
const FileName = "config.toml"

// Config is the settings of a node. Default says what each is if nobody sets it, and Settings
// what each means.
type Config struct {
	// Network is the name of the grid: nodes of different names do not meet, and what is
	// signed in one is worth nothing in the other.
	Network string
	// Listen is where others reach the node. No address means every interface, port 0 any
	// free port. A port that is taken gives way to another, and the person is told.
	Listen netip.AddrPort
	// Bootstrap is multiaddrs, ending in /p2p/ID, of nodes through which to join.
	Bootstrap []string
	// MDNS is whether to look for nodes on the local network, and to be seen there.
	MDNS bool
	// Name is what this node is called, beside its peer ID. Anybody can call theirs the same.
	Name string
	// Disk is the space that blobs may fill, what others ask to keep included.
	Disk Size

	// Wishes are when and how much of the machine is lent.
	Wishes wishes.Wishes
	// Rate is the bytes a second at which large blobs move, each way. Zero is any.
	Rate Size
	// Monthly is the bytes of large blobs that may move in a calendar month. Zero is any.
	Monthly Size
	// KeepWhilePaused is whether a node that stands still goes on keeping for others.
	KeepWhilePaused bool

	// Follow is submitters, by peer ID, with a weight behind a * or without: their shares.
	Follow []string
	// OnlyFollowed is whether nobody else's work is run.
	OnlyFollowed bool
	// Block is submitters and programs that are not run here.
	Block []string

	home    string
	env     func(string) (string, bool)
	flags   map[string]string
	sources map[string]string // of what is not the default
}

// DefaultPort is the port of a node that was not told another.
const DefaultPort = 4901

// Default is the configuration of a node that nobody configured.
func Default() Config {
	return Config{
		Network: "main",
		Listen:  netip.AddrPortFrom(netip.Addr{}, DefaultPort),
		MDNS:    true,
		Disk:    10 << 30,
		Wishes:  wishes.Default(),

		KeepWhilePaused: true,
	}
}

// Limits that settings are held to.
const (
	maxNetwork   = 32
	maxBootstrap = 64
	maxCores     = 4096
	maxPrograms  = 64
	minMemory    = 64 << 20
	minDisk      = 1 << 20
	minRate      = 1 << 10
)

// Validate returns an error for the first setting that makes no sense.
func (c *Config) Validate() error {
	for _, s := range settings() {
		if problem := s.check(c); problem != "" {
			return &Error{Source: c.sourceOr(s.name, s.name), Problem: problem, hint: "use " + s.wants}
		}
	}
	return nil
}

// Size is a number of bytes, written like "10 GiB".
type Size uint64

// String is the size as people write it.
func (s Size) String() string {
	if s%(1<<10) != 0 && s >= 1<<10 {
		return strconv.FormatUint(uint64(s), 10) // what is read again is what was written
	}
	for _, unit := range []struct {
		bytes Size
		name  string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if s >= unit.bytes && s%unit.bytes == 0 {
			return fmt.Sprintf("%d %s", s/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%d B", s)
}

// ParseSize reads a size: a number and a unit (B, KB, KiB, MB, MiB, …), the unit being
// bytes if there is none.
func ParseSize(text string) (Size, error) {
	n, err := humanize.ParseBytes(strings.TrimSpace(text))
	if err != nil || strings.Contains(text, ",") { // is 1,5 GB fifteen?
		return 0, fmt.Errorf("%q is not a size", text)
	}
	return Size(n), nil
}

// Home is the folder that everything of a node is in: the flag, else SHOAL_HOME, else
// "shoal" where this system keeps a user's data.
func Home(flag string, env func(string) (string, bool)) (string, error) {
	home, from := flag, "--home"
	if home == "" {
		home, _ = env("SHOAL_HOME")
		from = "SHOAL_HOME"
	}
	if home == "" {
		if !filepath.IsAbs(xdg.DataHome) {
			return "", &Error{Source: "home", Problem: "this user has no home directory", hint: "name a folder with --home DIR"}
		}
		home = filepath.Join(xdg.DataHome, "shoal")
	}
	home, err := filepath.Abs(home)
	if err != nil {
		return "", fmt.Errorf("find home: %w", err)
	}
	if info, err := os.Stat(home); err == nil && !info.IsDir() {
		return "", &Error{Source: from, Problem: home + " is no folder", hint: "name a folder with --home DIR"}
	}
	return home, nil
}

// ParseListen reads an address to listen on: "4901", ":4901", "192.168.1.20:4901" or
// "[::1]:0".
func ParseListen(text string) (netip.AddrPort, error) {
	if port, err := strconv.ParseUint(strings.TrimPrefix(text, ":"), 10, 16); err == nil {
		return netip.AddrPortFrom(netip.Addr{}, uint16(port)), nil
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return at, fmt.Errorf("%q is not a port or an address with a port", text)
	}
	return at, nil
}
