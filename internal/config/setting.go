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
	about string // what it means, in a line
	wants string // what it takes, with an example
	kind  kind
	wish  bool // a flag of donate; a change counts at once
	set   func(c *Config, text string) error
	get   func(c *Config) string
	check func(c *Config) (problem string)
}

// kind is how a value is written in the file.
type kind uint8

const (
	word   kind = iota // "in quotes"
	plain              // 4, true
	listed             // ["a", "b"]
)

// settings is every setting, in the order of Config. A new one is a field, its default and
// an entry here: help, documentation and flags follow.
func settings() []setting { return append(nodeSettings(), wishSettings()...) }

// nodeSettings say where the node is, and who. A change counts when the node starts again, but of
// its name.
func nodeSettings() []setting {
	return []setting{
		{
			name: "network", about: "name of the grid", wants: `a name of 1 to 32 small letters, digits and dashes, such as "main"`,
			set: setNetwork, get: func(c *Config) string { return c.Network }, check: checkNetwork,
		},
		{
			name: "listen", about: "port, or address and port, to listen on", wants: `a port, or an address and a port, such as "4901" or "192.168.1.20:4901"`,
			set: setListen, get: listenText, check: fine,
		},
		{
			name: "bootstrap", about: "nodes to join by", kind: listed,
			wants: `addresses as "shoal id" prints them, such as "/ip4/192.168.1.20/tcp/4901/p2p/12D3Koo…"`,
			set:   func(c *Config, text string) error { c.Bootstrap = items(text); return nil },
			get:   func(c *Config) string { return strings.Join(c.Bootstrap, ",") }, check: checkBootstrap,
		},
		onOff("mdns", "look for nodes on the local network, and be seen there", func(c *Config) *bool { return &c.MDNS }),
		{
			name: "name", about: "what to call this node, beside its peer ID", wants: `up to 40 bytes of text without spaces around it, such as "ada"`, wish: true,
			set: func(c *Config, text string) error { c.Name = text; return nil }, get: func(c *Config) string { return c.Name }, check: checkName,
		},
	}
}

func fine(*Config) string { return "" }

func setNetwork(c *Config, text string) error { c.Network = text; return nil }

func checkNetwork(c *Config) string {
	if len(c.Network) > maxNetwork || !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(c.Network) {
		return fmt.Sprintf("%q is not a name of a network", c.Network)
	}
	return ""
}

func setListen(c *Config, text string) (err error) { c.Listen, err = ParseListen(text); return err }

func listenText(c *Config) string {
	if !c.Listen.Addr().IsValid() {
		return strconv.Itoa(int(c.Listen.Port()))
	}
	return c.Listen.String()
}

// items splits at commas, which no multiaddr and no program's name has.
func items(text string) (list []string) {
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// checkBootstrap looks at the outer form only: internal/p2p knows multiaddrs.
func checkBootstrap(c *Config) string {
	if len(c.Bootstrap) > maxBootstrap {
		return fmt.Sprintf("%d addresses are more than %d", len(c.Bootstrap), maxBootstrap)
	}
	for _, a := range c.Bootstrap {
		if !strings.HasPrefix(a, "/") || !strings.Contains(a, "/p2p/") {
			return fmt.Sprintf("%q is not a multiaddr that ends in /p2p/ID", a)
		}
	}
	return ""
}

// onOff is a setting that is true or false.
func onOff(name, about string, field func(*Config) *bool) setting {
	return setting{
		name: name, about: about, wants: "true or false", kind: plain,
		set: func(c *Config, text string) (err error) {
			if *field(c), err = strconv.ParseBool(text); err != nil {
				return fmt.Errorf("%q is neither true nor false", text)
			}
			return nil
		},
		get: func(c *Config) string { return strconv.FormatBool(*field(c)) }, check: fine,
	}
}

func (s setting) flag() string { return "--" + s.name }
func (s setting) env() string {
	return "SHOAL_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}
