package p2p

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/shoalgrid/shoal/jobs"
)

// MaxMessage is the size of the largest request or response that Call and Handle carry.
const MaxMessage = 4 << 20

// MaxAnnouncement is the size of the largest gossip message.
const MaxAnnouncement = 16 << 10

const (
	defaultMaxHead = 16 << 10

	// dialTimeout and askTimeout bound what one silent peer can cost a lookup. Measured with
	// 30 % of the nodes dead: a read takes 3 s with both, 12 s with the defaults of 15 s and 10 s.
	dialTimeout = 1500 * time.Millisecond
	askTimeout  = 1500 * time.Millisecond

	// refreshEvery is how often the routing table is refreshed: it cuts the long tail after
	// a mass death, for 0.8 KB/s a node at k = 8 and 2.9 KB/s at k = 20.
	refreshEvery = time.Minute
)

// Config says how a host is to be built. Key and Network are required.
type Config struct {
	// Key is the node's identity.
	Key ed25519.PrivateKey
	// Network is the grid's name. Nodes of different names do not talk.
	Network string
	// Agent is what the node tells its peers about its software, as in "shoal/0.1.0".
	Agent string

	// Port is the port to listen on, over TCP and QUIC: 0 is any, and another is taken where
	// the wished one is in use.
	Port int
	// Listen are explicit multiaddrs to listen on, instead of Port.
	Listen []string
	// NoInbound accepts no inbound connection, like a node behind a strict NAT.
	NoInbound bool
	// Passing is for a node that will leave soon: it is connected like any other, but serves
	// no DHT and so keeps nothing for others.
	Passing bool

	// Bootstrap are full multiaddrs of nodes to join by; they are remembered.
	Bootstrap []string
	// MDNS finds nodes on the same LAN.
	MDNS bool
	// Gossip takes part in spreading announcements.
	Gossip bool
	// Allow is the allow-list of a private grid; nil lets everyone in.
	Allow func(jobs.NodeID) bool

	// Dir keeps the DHT's records and the remembered peers; "" keeps them in memory.
	Dir string
	// BucketSize is Kademlia's k; 0 is the default.
	BucketSize int

	// MaxHead is the size of the largest DHT value record; 0 is 16 KiB.
	MaxHead int
	// ValidateHead says what is wrong with a DHT value record, or nil; without it no record
	// is accepted.
	ValidateHead func(key [32]byte, value []byte) error
	// PreferHead compares two valid records of one key: positive if a is better, negative if
	// b is, 0 if they are equal. It must be a total order.
	PreferHead func(a, b []byte) int

	// Metrics takes in what libp2p counts; nil: nothing is counted.
	Metrics prometheus.Registerer

	// Blocks is what other nodes can fetch from here; nil serves nothing.
	Blocks BlockSource

	// Logger is where the host logs; nil logs nothing.
	Logger *slog.Logger
	// HostOptions are applied last; tests use them for simulated networks.
	HostOptions []libp2p.Option
}

// defaultBucketSize is Kademlia's k where Config says none. At 100 nodes lookups with 8 and with
// 20 both found the five nearest 100 times of 100; 20 costs four times the bytes.
const defaultBucketSize = 8

// networkName keeps names usable inside protocol IDs, topics and mDNS labels.
var networkName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

func (c Config) normalised() (Config, error) {
	if len(c.Key) != ed25519.PrivateKeySize {
		return c, errors.New("p2p: no key")
	}
	if !networkName.MatchString(c.Network) {
		return c, fmt.Errorf("p2p: network name %.80q: want 1 to 64 of a-z 0-9 . _ -", c.Network)
	}
	if c.Port < 0 || c.Port > 65535 {
		return c, fmt.Errorf("p2p: port %d: want 0 to 65535", c.Port)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxHead == 0 {
		c.MaxHead = defaultMaxHead
	}
	if c.BucketSize == 0 {
		c.BucketSize = defaultBucketSize
	}
	if c.Agent == "" {
		c.Agent = "shoal"
	}
	return c, nil
}

// maxDHTMessage is the longest message of the DHT: a record, and some peers with their addresses.
func (c Config) maxDHTMessage() int { return c.MaxHead + 64<<10 }

// prefix begins the names of the protocols that libraries speak for us.
func (c Config) prefix() protocol.ID { return protocol.ID("/shoal/" + c.Network) }

// blobProtocol is the protocol that every node of the network speaks, servers and clients.
func (c Config) blobProtocol() protocol.ID { return c.prefix() + bsnet.ProtocolBitswap }

// protocolID is the libp2p name of one of our own protocols in this network.
func (c Config) protocolID(name string) protocol.ID { return protocol.ID(name + "/" + c.Network) }
