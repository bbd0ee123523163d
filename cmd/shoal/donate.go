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
	"github.com/shoalgrid/shoal/internal/service"
	"github.com/shoalgrid/shoal/internal/store"
)

func (p *program) donateCommand() *cobra.Command {
	var weak bool
	cmd := &cobra.Command{
		Use:   "donate",
		Short: "lend this machine's idle cores to the grid",
		Long: `Starts a node that works for others until Ctrl-C; where one runs in this home already,
turns donating on there. Programs of others run locked in: no files, no network.

It works while nobody uses the machine: 3 minutes after the last input, unless other programs
keep the processor busy, on mains power. Input stops it within a second. Its programs only
get cycles that nobody else wants. A unit that stands still for longer than its lease goes
back to the grid. Each wish below is also a setting: shoal config --help. What donors ask:
shoal help donating.`,
		Annotations: map[string]string{moreAnnotation: donorsAsk},
		Example: `  shoal donate                                    all cores, while nobody needs them
  shoal donate --when always --cores 2            beside you, now
  shoal donate --bootstrap /ip4/…/p2p/12D3…       join a friend who is not on this network`,
		Args: exactArgs(),
	}
	node := addNodeFlags(cmd.Flags())
	node.addMetricsFlag(cmd.Flags())
	node.addName()
	node.addWishes()
	cmd.Flags().BoolVar(&weak, "allow-weak-sandbox", false, "donate also where a lock that should hold strangers' programs is missing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.donate(cmd.Context(), node, weak) }
	return cmd
}

// addWishes makes a flag of every setting that says what is lent.
func (f *nodeFlags) addWishes() {
	f.lends = true
	set := f.set
	for _, s := range config.Settings() {
		if !s.Wish || set.Lookup(s.Name) != nil {
			continue
		}
		about := s.About
		if s.Default != "" {
			about += " (" + s.Default + ")"
		}
		if s.OnOff {
			set.Bool(s.Name, s.Default == "true", s.About)
			continue
		}
		set.Var(new(wishValue), s.Name, about)
	}
}

// wishValue is the text of a wish, which package config reads.
type wishValue string

func (v *wishValue) String() string        { return string(*v) }
func (v *wishValue) Set(text string) error { *v = wishValue(text); return nil }
func (v *wishValue) Type() string          { return "VALUE" }

func (p *program) donate(ctx context.Context, flags *nodeFlags, weak bool) error {
	given := flags.settings()
	o, err := p.nodeOptions(given)
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
		has, err := s.Settings(ctx)
		if err != nil {
			return err
		}
		if err := flags.tooLate(given, has); err != nil {
			return err
		}
		return p.donateThere(ctx, s, api.Donation{Settings: wishesOf(given), Bootstrap: flags.boot, AllowWeakSandbox: weak})
	}
	o.Donate, o.Weak, o.Metrics = true, weak, flags.metrics
	return p.serve(ctx, o)
}

// wishesOf is those of the settings that a running node can take up.
func wishesOf(given map[string]string) map[string]string {
	some := map[string]string{}
	for name, value := range given {
		if isWish(name) {
			some[name] = value
		}
	}
	return some
}

// tooLate refuses what only a node that starts can be told, where one runs already and has it
// otherwise.
func (f *nodeFlags) tooLate(given map[string]string, has []api.Setting) error {
	there := func(flag, hint string) error { return usage(hint, "%s: a node runs in this home already", flag) }
	if f.metrics != "" {
		return there("--metrics "+f.metrics, "scrape its socket, or start it again with --metrics "+f.metrics)
	}
	for _, s := range config.Settings() {
		value, ok := given[s.Name]
		switch {
		case !ok, s.Wish, s.Name == "bootstrap":
		case slices.ContainsFunc(has, func(h api.Setting) bool { return h.Name == s.Name && h.Value == value }):
		case s.Name == "mdns":
			return there("--no-mdns", "for its next start: shoal config set mdns false")
		default:
			return there("--"+s.Name+" "+value, "for its next start: shoal config set "+s.Name+" "+value)
		}
	}
	return nil
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
func (p *program) serve(ctx context.Context, o nodeOptions) error {
	return service.Run(ctx, errTerminated, func(ctx context.Context) error { return p.serveAs(ctx, o, service.TheManager()) })
}

// serveAs is serve for the system that has started this process, if one has.
func (p *program) serveAs(ctx context.Context, o nodeOptions, manager *service.Manager) (err error) {
	s, ctx, err := p.start(ctx, o)
	if err != nil {
		return runsThere(err)
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	status, err := s.Status(ctx)
	switch {
	case errors.Is(err, errTerminated): // by the system, while it started
		return nil
	case err != nil:
		return err
	}
	p.tell(manager.Ready())
	defer func() { p.tell(manager.Stopping()) }()
	if o.Donate {
		p.ui.lends(status)
		if w := &o.Config.Wishes; p.tty && w.When == "idle" {
			p.ui.startsLater(w.IdleAfter)
		}
	}
	err = p.report(ctx, s, status, &o, manager)
	switch {
	case errors.Is(err, errFinished):
		p.ui.gaveAll()
		return nil
	case errors.Is(err, errTerminated): // by the system, as services are
		return nil
	case interrupted(err):
		p.ui.leaving(o.Donate)
	}
	return err
}

// runsThere gives a home that another process has a code and a way out.
func runsThere(err error) error {
	if inUse, ok := errors.AsType[*store.InUse](err); ok {
		return &api.Error{Code: api.CodeRefused, Message: inUse.Error(), Hint: "if that is your node, it runs already: shoal status; else name another home with --home DIR"}
	}
	return err
}

// tell is for word to the system that started this process, which it can go without.
func (p *program) tell(err error) {
	if err != nil {
		p.log().Debug("the service manager does not listen", "error", err)
	}
}

const (
	reportTime = time.Second // between two looks at what a node does
	settleTime = 5           // looks until a node that has no address yet says so
)

// errFinished is that a donor has ended all that it had begun, as it was asked to.
var errFinished = errors.New("finished")

// report says what a node does whenever that has changed.
func (p *program) report(ctx context.Context, s *session, status *api.Status, o *nodeOptions, manager *service.Manager) error {
	place, doing := "", ""
	shown := map[string]bool{}
	for _, n := range status.Notices {
		shown[n.ID] = true // shoal notices has what came before
	}
	for look := 0; ; look++ {
		now := fmt.Sprint(status.Grid.Reachable, status.Grid.Addrs)
		settled := len(status.Grid.Addrs) > 0 || look >= settleTime
		if settled && now != place {
			place = now
			p.ui.listens(status, o.Config.Network)
		}
		if look == settleTime {
			p.complain(status, &o.Config)
		}
		if now := doingNow(status); settled && now != doing {
			doing = now
			p.ui.doing(doing)
			p.log().Info("what this node does", "doing", doing)
		}
		shown = p.newNotices(status.Notices, shown)
		p.tell(manager.Alive(time.Now(), doingNow(status)))
		if o.Donate && status.Donating.State == api.DonatingOff {
			return errFinished
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

// newNotices shows the notices that were not shown, and gives those that are.
func (p *program) newNotices(list []api.Notice, shown map[string]bool) map[string]bool {
	now := map[string]bool{}
	for _, n := range slices.Backward(list) {
		now[n.ID] = true
		if !shown[n.ID] {
			p.ui.notice(n)
		}
	}
	return now
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
