package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/api"
)

// knowing is a node that knows three jobs, one of them another's, and two peers.
type knowing struct{ answering }

func (n knowing) Status(context.Context) (*api.Status, error) {
	return &api.Status{
		Node: api.NodeStatus{Peer: alice}, Jobs: []api.Job{*openJob(), *doneJob()},
		Offered: []api.Offered{{Job: "c6g4m3rbabcdefghijklmnopqrstuvwxyz234567abcdefghijkl", Name: "fold.wasm", Submitter: bob, SubmitterName: "bob"}},
	}, nil
}

func (n knowing) Job(_ context.Context, ref string) (*api.Job, error) {
	for _, j := range []*api.Job{openJob(), doneJob()} {
		if strings.HasPrefix(j.Job, ref) {
			return j, nil
		}
	}
	return nil, &api.Error{Code: api.CodeNotFound, Message: "no job is known here", Hint: "list yours with shoal status"}
}

func (n knowing) Peers(context.Context) ([]api.Peer, error) {
	return []api.Peer{{Peer: bob, Addr: "/ip4/192.168.1.21/tcp/4901", Agent: "shoal/0.1.0"}, {Peer: alice, Addr: "/ip4/10.0.0.1/udp/4901/quic-v1"}}, nil
}

// tried is one command.
func tried(t *testing.T, args ...string) (code int, out, said string) {
	t.Helper()
	var stdout, stderr strings.Builder
	p := newProgram(strings.NewReader(""), &stdout, &stderr, func(nodeOptions) (gridNode, error) { return nil, os.ErrInvalid })
	code = p.run(t.Context(), args)
	return code, stdout.String(), stderr.String()
}

// An id that is nearly one of a known job's is answered with that job; one that is near none, or
// all there, is not.
func TestMistypedJob(t *testing.T) {
	home := serveAt(t, knowing{answering{newPuppet(t)}})
	for ref, hint := range map[string]string{
		"b5f3k2qb":               "did you mean: b5f3k2qa (count.wasm, open, ",
		"b5fk2qa":                "did you mean: b5f3k2qa",
		"b53fk2qa":               "did you mean: b5f3k2qa",
		"b5f3":                   "",
		"b5e3":                   "did you mean: b5f3k2qa",
		"c6g4m3tb":               "did you mean: c6g4m3rb (fold.wasm, of bob (12D3…nQ88)",
		"b5f1k2qa":               "did you mean: b5f3k2qa", // 1 is no letter of an id
		"AAF3K2QA":               "list yours",
		"zzzzzzzz":               "list yours",
		"b5":                     "",
		"xy":                     "list yours",
		openJob().Job[:51] + "q": "did you mean: b5f3k2qa",
	} {
		for _, verb := range []string{"status", "results", "logs", "cancel"} {
			code, _, said := tried(t, verb, ref, "--home", home)
			known := strings.HasPrefix(openJob().Job, ref)
			switch {
			case verb == "cancel" && !strings.ContainsAny(ref, "1A"), known: // this node cancels anything
			case code != api.CodeNotFound || !strings.Contains(said, "hint:  "+hint) && hint != "list yours" || hint == "list yours" && strings.Contains(said, "did you mean"):
				t.Errorf("%s %s: exit code %d, said %q", verb, ref, code, said)
			}
		}
	}
}

// What a shell offers comes from the node that runs: jobs, others' too, peers and their addresses.
func TestCompletionAsksTheNode(t *testing.T) {
	home := serveAt(t, knowing{answering{newPuppet(t)}})
	jobs := []string{"b5f3k2qa\tcount.wasm, open, ", "aaf3k2qa\tlocal.wasm, done, ", "c6g4m3rb\tfold.wasm, of bob (12D3…nQ88)"}
	peers := []string{bob + "\t192.168.1.21:4901", alice + "\t10.0.0.1:4901"}
	addrs := []string{"/ip4/192.168.1.21/tcp/4901/p2p/" + bob + "\tshoal/0.1.0"}
	for _, test := range []struct {
		line string // what stands before the word that is completed
		want []string
	}{
		{"status", jobs}, {"watch", jobs}, {"explain", jobs}, {"results", jobs}, {"logs", jobs}, {"wait", jobs}, {"wait b5f3k2qa", jobs}, {"cancel", jobs},
		{"notify --job", jobs},
		{"follow", peers}, {"unfollow", peers}, {"block", peers}, {"run p.wasm --trust", peers}, {"verify proof --submitter", peers}, {"credit --submitter", peers},
		{"donate --bootstrap", addrs}, {"up --bootstrap", addrs}, {"run p.wasm --bootstrap", addrs},
	} {
		code, out, said := tried(t, slices.Concat([]string{"__complete", "--home", home}, strings.Fields(test.line), []string{""})...)
		for _, want := range test.want {
			if code != 0 || !strings.Contains("\n"+out, "\n"+want) {
				t.Errorf("%s: exit code %d, offered %q, said %q; not %q", test.line, code, out, said, want)
			}
		}
		if !strings.HasSuffix(out, ":4\n") {
			t.Errorf("%s: a shell would offer files too: %q", test.line, out)
		}
	}
}
