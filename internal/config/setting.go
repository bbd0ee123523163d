package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// setting is how one field of Config is named, read and checked. Every source hands in
// text, so that a wrong type in the file is told like a wrong word in a flag.
type setting struct {
	name  string // in the file; --name as a flag, SHOAL_NAME in the environment
	wants string // what it takes, with an example
	set   func(c *Config, text string) error
	check func(c *Config) (problem string)
}

// settings is every setting, in the order of Config. A new one is a field, its default and
// an entry here.
func settings() []setting {
	return []setting{{
		name:  "network",
		wants: `a name of 1 to 32 small letters, digits and dashes, such as "main"`,
		set:   func(c *Config, text string) error { c.Network = text; return nil },
		check: func(c *Config) string {
			if len(c.Network) > maxNetwork || !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(c.Network) {
				return fmt.Sprintf("%q is not a name of a network", c.Network)
			}
			return ""
		},
	}, {
		name:  "listen",
		wants: `a port, or an address and a port, such as "4901" or "192.168.1.20:4901"`,
		set: func(c *Config, text string) (err error) {
			c.Listen, err = ParseListen(text)
			return err
		},
		check: fine,
	}, {
		name:  "bootstrap",
		wants: `addresses as "shoal id" prints them, such as "/ip4/192.168.1.20/tcp/4901/p2p/12D3Koo…"`,
		set:   func(c *Config, text string) error { c.Bootstrap = list(text); return nil },
		check: func(c *Config) string { return checkBootstrap(c.Bootstrap) },
	}, {
		name:  "mdns",
		wants: "true or false",
		set: func(c *Config, text string) (err error) {
			if c.MDNS, err = strconv.ParseBool(text); err != nil {
				return fmt.Errorf("%q is neither true nor false", text)
			}
			return nil
		},
		check: fine,
	}, {
		name:  "quota",
		wants: `a size of at least 1 MiB, such as "10 GiB"`,
		set: func(c *Config, text string) (err error) {
			c.Quota, err = ParseSize(text)
			return err
		},
		check: func(c *Config) string {
			if c.Quota < minQuota {
				return fmt.Sprintf("%s is too little to keep anything", c.Quota)
			}
			return ""
		},
	}, {
		name:  "cores",
		wants: "a number of cores, such as 4, or 0 for all",
		set: func(c *Config, text string) (err error) {
			if c.Cores, err = strconv.Atoi(text); err != nil {
				return fmt.Errorf("%q is not a number", text)
			}
			return nil
		},
		check: func(c *Config) string {
			if c.Cores < 0 || c.Cores > maxCores {
				return fmt.Sprintf("%d is not between 0 and %d", c.Cores, maxCores)
			}
			return ""
		},
	}, {
		name:  "memory",
		wants: `a size of at least 64 MiB, such as "4 GiB", or 0 for half of the machine's`,
		set: func(c *Config, text string) (err error) {
			c.Memory, err = ParseSize(text)
			return err
		},
		check: func(c *Config) string {
			if c.Memory != 0 && c.Memory < minMemory {
				return fmt.Sprintf("%s is too little for a guest", c.Memory)
			}
			return ""
		},
	}}
}

func fine(*Config) string { return "" }

// list splits at commas, which no multiaddr has.
func list(text string) (items []string) {
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// checkBootstrap looks at the outer form only: internal/p2p knows multiaddrs.
func checkBootstrap(addrs []string) string {
	if len(addrs) > maxBootstrap {
		return fmt.Sprintf("%d addresses are more than %d", len(addrs), maxBootstrap)
	}
	for _, a := range addrs {
		if !strings.HasPrefix(a, "/") || !strings.Contains(a, "/p2p/") {
			return fmt.Sprintf("%q is not a multiaddr that ends in /p2p/ID", a)
		}
	}
	return ""
}

func (s setting) flag() string { return "--" + s.name }
func (s setting) env() string  { return "SHOAL_" + strings.ToUpper(s.name) }
