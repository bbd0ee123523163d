package config

import (
	"fmt"
	"strings"

	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/worker/shares"
)

// whoseSettings say whose work is run.
func whoseSettings() []setting {
	return []setting{
		{
			name: "follow", about: "submitters to work for by weight, and whose notices to show; the rest share the weight of one", kind: listed,
			wants: `peer IDs, each with its weight behind a * or without, such as "12D3Koo…*3"`,
			set:   func(c *Config, text string) error { c.Follow = items(text); return nil },
			get:   func(c *Config) string { return strings.Join(c.Follow, ",") }, check: checkWhose,
		},
		onOff("only-followed", "work for nobody else", func(c *Config) *bool { return &c.OnlyFollowed }),
		{
			name: "block", about: "submitters, and programs by their digest, that never run here", kind: listed,
			wants: `peer IDs or digests of programs, such as "12D3Koo…"`,
			set:   func(c *Config, text string) error { c.Block = items(text); return nil },
			get:   func(c *Config) string { return strings.Join(c.Block, ",") }, check: checkWhose,
		},
	}
}

// Choice is whose work is run, as the settings say.
func (c *Config) Choice() (shares.Choice, error) {
	choice := shares.Choice{OnlyFollowed: c.OnlyFollowed}
	if n := max(len(c.Follow), len(c.Block)); n > shares.MaxEntries {
		return choice, fmt.Errorf("%d entries are more than %d", n, shares.MaxEntries)
	}
	for _, text := range c.Follow {
		id, weight, err := shares.ParseFollowed(text)
		if err != nil {
			return choice, err
		}
		if choice.Followed == nil {
			choice.Followed = map[jobs.NodeID]uint32{}
		}
		choice.Followed[id] = weight
	}
	for _, text := range c.Block {
		if err := choice.Block(text); err != nil {
			return choice, err
		}
	}
	return choice, nil
}

// MaxWeight is the most that a followed submitter can weigh.
const MaxWeight = shares.MaxWeight

// Followed is an entry of the setting "follow".
func Followed(peer string, weight int) string { return shares.FollowedText(peer, weight) }

func checkWhose(c *Config) string {
	if _, err := c.Choice(); err != nil {
		return err.Error()
	}
	return ""
}

func checkName(c *Config) string {
	if c.Name == "" {
		return ""
	}
	if err := jobs.ValidNodeName(c.Name); err != nil {
		return err.Error()
	}
	return ""
}
