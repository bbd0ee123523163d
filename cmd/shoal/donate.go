package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
)

// When a donor works.
const (
	whenAlways = "always"
	whenIdle   = "idle"
)

func (p *program) donateCommand() *cobra.Command {
	var cores int
	var memory, disk sizeValue
	var when string
	var weak bool
	cmd := &cobra.Command{
		Use:   "donate",
		Short: "lend this machine's idle cores to the grid",
		Long: `Starts a node that works for others until Ctrl-C; where one runs in this home already,
turns donating on there. Programs of others run locked in: no files, no network.`,
		Example: `  shoal donate                                    all cores, while nobody needs them
  shoal donate --cores 2 --memory 4GiB
  shoal donate --bootstrap /ip4/…/p2p/12D3…       join a friend who is not on this network`,
		Args: exactArgs(),
	}
	flags := cmd.Flags()
	node := addNodeFlags(flags)
	flags.IntVar(&cores, "cores", 0, "`N` programs at a time (one for each core)")
	flags.Var(&memory, "memory", "memory for all of them together (half of the machine's)")
	flags.Var(&disk, "disk", "disk for what is kept here (10GiB)")
	flags.StringVar(&when, "when", whenAlways, "`WHEN`: idle or always")
	flags.BoolVar(&weak, "allow-weak-sandbox", false, "donate also where a lock that should hold strangers' programs is missing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if when != whenAlways && when != whenIdle {
			return usage("--when idle stops while the computer is in use", "--when %q: idle or always", when)
		}
		return p.donate(cmd.Context(), node, api.Donation{Cores: cores, Memory: uint64(memory), Disk: uint64(disk), When: when, AllowWeakSandbox: weak})
	}
	return cmd
}

func (p *program) donate(ctx context.Context, flags *nodeFlags, d api.Donation) error {
	o, err := p.nodeOptions(flags.settings())
	if err != nil {
		return err
	}
	s, err := p.running()
	if err != nil {
		return err
	}
	switch up, err := answers(ctx, s); {
	case err != nil:
		return err
	case up:
		return p.donateThere(ctx, s, d)
	}
	o.Donate, o.Weak = true, d.AllowWeakSandbox
	return p.serve(ctx, o)
}

// donateThere turns donating on in a node that runs already.
func (p *program) donateThere(ctx context.Context, s *session, d api.Donation) error {
	if err := s.Donate(ctx, d); err != nil {
		return err
	}
	status, err := s.Status(ctx)
	if err != nil {
		return err
	}
	p.ui.lends(status)
	return nil
}

// serve is a node in the foreground: it says where it is and what it does, until Ctrl-C.
func (p *program) serve(ctx context.Context, o nodeOptions) (err error) {
	s, ctx, err := p.start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	status, err := s.Status(ctx)
	if err != nil {
		return err
	}
	if o.Donate {
		p.ui.lends(status)
	}
	err = p.report(ctx, s, status, &o.Config)
	switch {
	case errors.Is(err, errTerminated): // by the system, as services are
		return nil
	case interrupted(err):
		p.ui.leaving(o.Donate)
	}
	return err
}

const (
	reportTime = time.Second // between two looks at what a node does
	settleTime = 5           // looks until a node that has no address yet says so
)

// report says what a node does whenever that has changed.
func (p *program) report(ctx context.Context, s *session, status *api.Status, asked *config.Config) error {
	place, doing := "", ""
	for look := 0; ; look++ {
		now := fmt.Sprint(status.Grid.Reachable, status.Grid.Addrs)
		settled := len(status.Grid.Addrs) > 0 || look >= settleTime
		if settled && now != place {
			place = now
			p.ui.listens(status)
		}
		if look == settleTime {
			p.complain(status, asked)
		}
		if now := doingNow(status); settled && now != doing {
			doing = now
			p.ui.doing(doing)
		}
		if !pause(ctx, reportTime) {
			return context.Cause(ctx)
		}
		var err error
		if status, err = s.Status(ctx); err != nil {
			return err
		}
	}
}

// complain says, once the node has settled, what it was told to do and cannot.
func (p *program) complain(status *api.Status, asked *config.Config) {
	port := strconv.Itoa(int(asked.Listen.Port()))
	there := func(addr string) bool { return slices.Contains(strings.Split(addr, "/"), port) }
	if port != "0" && len(status.Grid.Addrs) > 0 && !slices.ContainsFunc(status.Grid.Addrs, there) {
		p.ui.elsewhere(port)
	}
	if len(asked.Bootstrap) > 0 && status.Grid.Peers == 0 {
		p.ui.nobodyThere(asked.Bootstrap)
	}
}
