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
	return []setting{
		{"network", `a name of 1 to 32 small letters, digits and dashes, such as "main"`, setNetwork, checkNetwork},
		{"listen", `a port, or an address and a port, such as "4901" or "192.168.1.20:4901"`, setListen, fine},
		{
			"bootstrap", `addresses as "shoal id" prints them, such as "/ip4/192.168.1.20/tcp/4901/p2p/12D3Koo…"`,
			setBootstrap, checkBootstrap,
		},
		{"mdns", "true or false", setMDNS, fine},
		{"quota", `a size of at least 1 MiB, such as "10 GiB"`, setQuota, checkQuota},
		{"cores", "a number of cores, such as 4, or 0 for all", setCores, checkCores},
		{"memory", `a size of at least 64 MiB, such as "4 GiB", or 0 for half of the machine's`, setMemory, checkMemory},
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

// setBootstrap splits at commas, which no multiaddr has.
func setBootstrap(c *Config, text string) error {
	c.Bootstrap = nil
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			c.Bootstrap = append(c.Bootstrap, item)
		}
	}
	return nil
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

func setMDNS(c *Config, text string) (err error) {
	if c.MDNS, err = strconv.ParseBool(text); err != nil {
		return fmt.Errorf("%q is neither true nor false", text)
	}
	return nil
}

func setQuota(c *Config, text string) (err error) { c.Quota, err = ParseSize(text); return err }

func checkQuota(c *Config) string {
	if c.Quota < minQuota {
		return fmt.Sprintf("%s is too little to keep anything", c.Quota)
	}
	return ""
}

func setCores(c *Config, text string) (err error) {
	if c.Cores, err = strconv.Atoi(text); err != nil {
		return fmt.Errorf("%q is not a number", text)
	}
	return nil
}

func checkCores(c *Config) string {
	if c.Cores < 0 || c.Cores > maxCores {
		return fmt.Sprintf("%d is not between 0 and %d", c.Cores, maxCores)
	}
	return ""
}

func setMemory(c *Config, text string) (err error) { c.Memory, err = ParseSize(text); return err }

func checkMemory(c *Config) string {
	if c.Memory != 0 && c.Memory < minMemory {
		return fmt.Sprintf("%s is too little for a guest", c.Memory)
	}
	return ""
}

func (s setting) flag() string { return "--" + s.name }
func (s setting) env() string  { return "SHOAL_" + strings.ToUpper(s.name) }
