package p2p

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"testing"
)

// TestTakenPort holds a node to a port of its own: a port that another process listens on is
// not shared, over TCP or QUIC, named or by default.
func TestTakenPort(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	port := other.Addr().(*net.TCPAddr).Port
	tcp, quic := "/ip4/127.0.0.1/tcp/%d", "/ip4/127.0.0.1/udp/%d/quic-v1"
	cfg := Config{Logger: slog.New(slog.DiscardHandler), Listen: []string{fmt.Sprintf(tcp, port), fmt.Sprintf(quic, port)}}
	if got, want := listenAddrs(cfg), []string{fmt.Sprintf(tcp, 0), fmt.Sprintf(quic, 0)}; !slices.Equal(got, want) {
		t.Errorf("beside another process: %v, want %v", got, want)
	}
	other.Close()
	if got := listenAddrs(cfg); !slices.Equal(got, cfg.Listen) {
		t.Errorf("alone: %v, want %v", got, cfg.Listen)
	}
	packets, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Skip("the port was taken meanwhile")
	}
	defer packets.Close()
	if got := listenAddrs(cfg); slices.Equal(got, cfg.Listen) {
		t.Error("QUIC shares its port")
	}
}
