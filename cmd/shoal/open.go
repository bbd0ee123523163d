package main

import (
	"os"

	"github.com/shoalgrid/shoal/internal/node"
)

// openNode opens a real node. Two variables of the environment switch things off, for tests of
// what a grid does without them: SHOAL_NO_GOSSIP and SHOAL_NO_INBOUND.
func openNode(o nodeOptions) (gridNode, error) {
	n, err := node.Open(node.Options{
		Home: o.Home, Config: o.Config, Version: o.Version, Donate: o.Donate, Weak: o.Weak, Offline: o.Alone, Passing: o.Passing, Logger: o.Logger,
		Faults: node.Faults{NoGossip: os.Getenv("SHOAL_NO_GOSSIP") != "", NoInbound: os.Getenv("SHOAL_NO_INBOUND") != ""},
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}
