package p2p

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/shoalgrid/shoal/internal/whole"
)

const (
	// maxKnown bounds the remembered peers; those seen least lately go first.
	maxKnown = 256
	// maxKnownAddrs bounds the addresses of each.
	maxKnownAddrs = 4
	// knownKept is how long a peer that is not seen stays remembered.
	knownKept = 14 * 24 * time.Hour
	// maxKnownFile bounds what is read back.
	maxKnownFile = 1 << 20
	// maxDialBackOff is the longest pause between two tries of a remembered peer. It bounds how
	// long a partition lasts after its cause is gone.
	maxDialBackOff = 5 * time.Minute
)

// known is the list of remembered peers: those this node was told to join by, and those it
// has been connected with. It outlives the process. After a partition it is the only way back:
// routing tables forget the other side.
type known struct {
	file   string     // "" keeps it in memory
	saving sync.Mutex // so that an older list does not replace a newer one

	mu    sync.Mutex
	peers map[peer.ID]*acquaintance
	dirty bool
}

// acquaintance is one remembered peer.
type acquaintance struct {
	addrs     []ma.Multiaddr
	seen      time.Time
	bootstrap bool // named by the user: never forgotten, tried every time
	failures  int
	next      time.Time // not dialled before
}

// openKnown reads the remembered peers and adds those to join by. Lines that make no sense are
// skipped: the list is a convenience.
func openKnown(cfg Config) (*known, error) {
	k := &known{peers: make(map[peer.ID]*acquaintance)}
	if cfg.Dir != "" {
		k.file = filepath.Join(cfg.Dir, "peers")
		if err := k.load(); err != nil {
			return nil, err
		}
	}
	for _, s := range cfg.Bootstrap {
		info, err := peer.AddrInfoFromString(s)
		if err != nil {
			return nil, fmt.Errorf("bootstrap address %.200q: %w", s, err)
		}
		if _, err := nodeOf(info.ID); err != nil {
			return nil, fmt.Errorf("bootstrap address %.200q: %w", s, err)
		}
		a := k.acquaint(info.ID)
		a.bootstrap = true
		a.addAddrs(info.Addrs)
		k.dirty = true
	}
	return k, nil
}

func (k *known) load() error {
	f, err := os.Open(k.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remembered peers: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for read := 0; lines.Scan() && read < maxKnownFile; read += len(lines.Bytes()) + 1 {
		seen, addr, ok := strings.Cut(lines.Text(), " ")
		unix, err := strconv.ParseInt(seen, 10, 64)
		if !ok || err != nil {
			continue
		}
		info, err := peer.AddrInfoFromString(addr)
		if err != nil {
			continue
		}
		if _, err := nodeOf(info.ID); err != nil {
			continue
		}
		a := k.acquaint(info.ID)
		a.seen = time.Unix(unix, 0)
		a.addAddrs(info.Addrs)
	}
	return nil
}

func (k *known) acquaint(p peer.ID) *acquaintance {
	a := k.peers[p]
	if a == nil {
		a = &acquaintance{}
		k.peers[p] = a
	}
	return a
}

// addAddrs puts addrs before those known already.
func (a *acquaintance) addAddrs(addrs []ma.Multiaddr) {
	fresh := slices.Clone(addrs)
	for _, old := range a.addrs {
		if !ma.Contains(fresh, old) {
			fresh = append(fresh, old)
		}
	}
	a.addrs = fresh[:min(len(fresh), maxKnownAddrs)]
}

// met remembers a peer that is connected now.
func (k *known) met(p peer.ID, addrs []ma.Multiaddr, now time.Time) {
	if len(addrs) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.acquaint(p)
	a.addAddrs(addrs)
	a.seen, a.failures, a.next = now, 0, time.Time{}
	k.dirty = true
	if len(k.peers) > maxKnown {
		k.forgetOne()
	}
}

func (k *known) forgetOne() {
	var oldest peer.ID
	for p, a := range k.peers {
		if !a.bootstrap && (oldest == "" || a.seen.Before(k.peers[oldest].seen)) {
			oldest = p
		}
	}
	delete(k.peers, oldest)
}

// missed remembers that a peer could not be dialled.
func (k *known) missed(p peer.ID, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.peers[p]
	switch {
	case a == nil:
	case a.bootstrap:
		a.failures++
	case now.Sub(a.seen) > knownKept:
		delete(k.peers, p)
		k.dirty = true
	default:
		a.failures++
		a.next = now.Add(min(rejoinEvery<<min(a.failures-1, 10), maxDialBackOff))
	}
}

// due picks up to limit remembered peers to dial: those to join by first, then others at
// random, so that a network of many cannot hide the few that lead to the other side.
func (k *known) due(now time.Time, limit int, skip func(peer.ID) bool) []peer.AddrInfo {
	k.mu.Lock()
	defer k.mu.Unlock()
	var ready []peer.ID
	for p, a := range k.peers {
		if !now.Before(a.next) && !skip(p) {
			ready = append(ready, p)
		}
	}
	rand.Shuffle(len(ready), func(i, j int) { ready[i], ready[j] = ready[j], ready[i] })
	slices.SortStableFunc(ready, func(p, q peer.ID) int {
		return cmp.Compare(rank(k.peers[p]), rank(k.peers[q]))
	})
	picked := make([]peer.AddrInfo, 0, limit)
	for _, p := range ready[:min(len(ready), limit)] {
		picked = append(picked, peer.AddrInfo{ID: p, Addrs: slices.Clone(k.peers[p].addrs)})
	}
	return picked
}

func rank(a *acquaintance) int {
	if a.bootstrap {
		return 0
	}
	return 1
}

// save writes the list if it has changed, in one step that a crash cannot halve.
func (k *known) save() error {
	k.saving.Lock()
	defer k.saving.Unlock()
	k.mu.Lock()
	if !k.dirty || k.file == "" {
		k.mu.Unlock()
		return nil
	}
	text := k.text()
	k.dirty = false
	k.mu.Unlock()
	if err := whole.Write(k.file, text, 0o600); err != nil {
		return fmt.Errorf("remember peers: %w", err)
	}
	return nil
}

func (k *known) text() []byte {
	var b bytes.Buffer
	for _, p := range slices.Sorted(maps.Keys(k.peers)) {
		a := k.peers[p]
		for _, addr := range a.addrs {
			fmt.Fprintf(&b, "%d %s/p2p/%s\n", a.seen.Unix(), addr, p)
		}
	}
	return b.Bytes()
}
