package p2p

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestDemoted(t *testing.T) {
	for _, c := range []struct {
		level slog.Level
		want  string
	}{{slog.LevelInfo, ""}, {slog.LevelDebug, "level=DEBUG msg=failed system=swarm peer=x"}} {
		var b bytes.Buffer
		log := slog.New(demoted{slog.NewTextHandler(&b, &slog.HandlerOptions{Level: c.level})}).With("system", "swarm")
		log.Info("chatter")
		log.Error("failed", "peer", "x")
		if got := b.String(); (c.want == "") != (got == "") || !strings.Contains(got, c.want) || strings.Contains(got, "chatter") {
			t.Errorf("at %v: %q", c.level, got)
		}
	}
}
