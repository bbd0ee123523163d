package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
	"github.com/shoalgrid/shoal/internal/words"
	"github.com/shoalgrid/shoal/jobs"
)

func (p *program) followCommand() *cobra.Command {
	var weight int
	cmd := &cobra.Command{
		Use:   "follow [PEER|NAME]",
		Short: "give a submitter a share of its own, and show its notices",
		Long: `By default a donor works for any job on the grid, and every submitter gets the same share of
its time, however many jobs it has. One that is followed has a share by its weight; all others
together have the weight of one. The shares are of CPU time, in the long run: who has had less
than its share comes next.

A name is what a node calls itself, and anybody can take any: look at the peer ID beside it.
Without PEER: whom this node follows, and what it blocks.`,
		Example: `  shoal follow 12D3Koo… --weight 3
  shoal follow ada
  shoal config set only-followed true        for nobody else`,
		Args:              optionalArg("PEER"),
		ValidArgsFunction: p.completePeer,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && cmd.Flags().Changed("weight"):
				return usage("shoal follow PEER --weight 3", "--weight without a PEER to give it to")
			case len(args) == 0:
				return p.showWhose(cmd.Context())
			}
			return p.follow(cmd.Context(), args[0], weight)
		},
	}
	cmd.Flags().IntVar(&weight, "weight", 1, "`N`, from 1 to 1,000: its share beside the others'")
	return cmd
}

func (p *program) unfollowCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "unfollow PEER|NAME",
		Short:             "make a submitter one of many again",
		Example:           `  shoal unfollow ada`,
		Args:              exactArgs("PEER"),
		ValidArgsFunction: p.completePeer,
		RunE: func(cmd *cobra.Command, args []string) error {
			peer, name, err := p.findPeer(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			was, err := p.changeList(cmd.Context(), "follow", peer, "")
			return p.ui.listed(err, was, "not followed any more: %s", "%s was not followed", who(name, peer))
		},
	}
}

func (p *program) blockCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "block [PEER|NAME|PROGRAM]",
		Short: "never run a submitter's jobs here, or a program by its digest",
		Long: `What runs of it now is ended at once and given back to the grid. status JOB prints the digest of a
job's program. Without an argument: what this node blocks, and whom it follows.`,
		Example: `  shoal block 12D3Koo…
  shoal block "$(sha256sum < prog.wasm | cut -d' ' -f1)"`,
		Args:              optionalArg("PEER"),
		ValidArgsFunction: p.completePeer,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return p.showWhose(cmd.Context())
			}
			what, label, err := p.findBlockable(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			was, err := p.changeList(cmd.Context(), "block", what, what)
			return p.ui.listed(err, !was, "blocked: nothing of %s runs here from now on", "%s was blocked before", label)
		},
	}
}

func (p *program) unblockCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "unblock PEER|NAME|PROGRAM",
		Short:   "let what was blocked run here again",
		Example: `  shoal unblock 12D3Koo…`,
		Args:    exactArgs("PEER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			what, label, err := p.findBlockable(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			was, err := p.changeList(cmd.Context(), "block", what, "")
			return p.ui.listed(err, was, "not blocked any more: %s", "%s was not blocked", label)
		},
	}
}

func (p *program) follow(ctx context.Context, ref string, weight int) error {
	switch {
	case weight < 1:
		return usage("to run nothing of it: shoal block "+oneLine(ref)+"; to make it one of many: shoal unfollow "+oneLine(ref), "--weight %d: a share is from 1 to %d", weight, config.MaxWeight)
	case weight > config.MaxWeight:
		return usage("give the others less: the one of all who are not followed is 1", "--weight %d: a share is from 1 to %d", weight, config.MaxWeight)
	}
	peer, name, err := p.findPeer(ctx, ref)
	if err != nil {
		return err
	}
	if _, err := p.changeList(ctx, "follow", peer, config.Followed(peer, weight)); err != nil {
		return err
	}
	p.ui.follows(who(name, peer), weight)
	return nil
}

// without is a list but for one peer or program, whatever its weight there.
func without(list []string, what string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool {
		s, _, _ = strings.Cut(s, "*")
		return strings.TrimSpace(s) == what
	})
}

// findBlockable finds a peer, or takes the digest of a program.
func (p *program) findBlockable(ctx context.Context, ref string) (what, label string, err error) {
	if d, err := jobs.ParseDigest(ref); err == nil {
		return d.String(), "program " + d.String()[:12] + "…", nil
	}
	peer, name, err := p.findPeer(ctx, ref)
	return peer, who(name, peer), err
}

// findPeer finds a node by its peer ID, or by the name that it told; two of one name are too many.
func (p *program) findPeer(ctx context.Context, ref string) (peer, name string, err error) {
	w, err := p.whose(ctx)
	if err != nil {
		return "", "", err
	}
	id, parseErr := jobs.ParseNodeID(ref)
	var found []api.Known
	for _, k := range w.Known {
		if k.Name == ref || parseErr == nil && k.Peer == id.String() {
			found = append(found, k)
		}
	}
	switch {
	case parseErr == nil && len(found) == 0:
		return id.String(), "", nil
	case len(found) == 1:
		return found[0].Peer, found[0].Name, nil
	case len(found) > 1:
		return "", "", &api.Error{Code: api.CodeUsage, Message: words.Count(len(found), "node") + " call themselves " + oneLine(ref), Hint: "give the peer ID: " + found[0].Peer + " or " + found[1].Peer}
	}
	return "", "", &api.Error{Code: api.CodeNotFound, Message: "no node called " + oneLine(ref) + " was met", Hint: "give its peer ID, as shoal id prints it there: 12D3Koo…"}
}

// whose is whose work the node of the home runs; in a home without a node, what its settings say.
func (p *program) whose(ctx context.Context) (w *api.Whose, err error) {
	err = p.atHome(ctx, nil, func(s *session) error {
		w, err = s.Whose(ctx)
		return err
	})
	var e *api.Error
	if errors.As(err, &e) && e.Code == api.CodeNoNode { // the home was never used
		return p.whoseSet()
	}
	return w, err
}

// whoseSet is what the settings of the home say alone.
func (p *program) whoseSet() (*api.Whose, error) {
	_, c, err := p.settings()
	if err != nil {
		return nil, err
	}
	choice, err := c.Choice()
	if err != nil {
		return nil, err
	}
	w := &api.Whose{OnlyFollowed: choice.OnlyFollowed}
	for id, weight := range choice.Followed {
		w.Followed = append(w.Followed, api.Followed{Peer: id.String(), Weight: int(weight)})
	}
	for id := range choice.Peers {
		w.Blocked = append(w.Blocked, api.Blocked{Peer: id.String()})
	}
	for d := range choice.Programs {
		w.Blocked = append(w.Blocked, api.Blocked{Program: d.String()})
	}
	w.Sort()
	return w, nil
}

func (p *program) showWhose(ctx context.Context) error {
	w, err := p.whose(ctx)
	if err != nil {
		return err
	}
	return p.print(w, func(out io.Writer) { whoseTable(out, w) })
}

// changeList takes a peer or program out of a setting that is a list, and puts it in again as entry
// says, unless that is "". It reports whether it was there. Where a node runs it counts at once.
func (p *program) changeList(ctx context.Context, name, what, entry string) (was bool, err error) {
	home, c, err := p.settings()
	if err != nil {
		return false, err
	}
	value, err := c.Get(name)
	if err != nil {
		return false, wrongCall(err)
	}
	s, err := p.running()
	if err != nil {
		return false, err
	}
	up, err := answers(ctx, s)
	if err != nil {
		return false, err
	}
	if up { // where a flag of its run may count
		all, err := s.Settings(ctx)
		if err != nil {
			return false, err
		}
		if i := slices.IndexFunc(all, func(x api.Setting) bool { return x.Name == name }); i >= 0 {
			value = all[i].Value
		}
	}
	before := strings.FieldsFunc(value, func(r rune) bool { return r == ',' })
	after := without(before, what)
	was = len(after) < len(before)
	if entry != "" {
		after = append(after, entry)
	}
	if text := strings.Join(after, ","); up {
		err = s.Set(ctx, map[string]string{name: text})
	} else {
		err = wrongCall(config.Set(home, name, text))
	}
	return was, err
}
