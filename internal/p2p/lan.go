package p2p

import (
	"net"
	"net/netip"
	"sync"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// subnetsKept is how long the list of this machine's subnets is good for.
const subnetsKept = time.Minute

// lan knows which addresses are near: on this machine, or in the networks it is part of. A
// campus or an IPv6 LAN has public addresses too, so its subnets count, not only private ranges.
type lan struct {
	interfaces func() ([]net.Addr, error)

	mu      sync.Mutex
	subnets []netip.Prefix
	read    time.Time
}

func newLAN() *lan { return &lan{interfaces: net.InterfaceAddrs} }

// inside reports whether an address is near. A relayed connection comes from who knows where.
func (l *lan) inside(a ma.Multiaddr) bool {
	ip, ok := addrIP(a)
	if !ok || isRelayed(a) {
		return false
	}
	if !manet.IsPublicAddr(a) {
		return true
	}
	for _, s := range l.current() {
		if s.Contains(ip) {
			return true
		}
	}
	return false
}

// current lists the subnets of this machine's interfaces.
func (l *lan) current() []netip.Prefix {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.read.IsZero() || now.Sub(l.read) > subnetsKept {
		l.read = now
		l.subnets = subnetsOf(l.interfaces())
	}
	return l.subnets
}

// subnetsOf is empty where the interfaces cannot be read: then private ranges must do.
func subnetsOf(addrs []net.Addr, _ error) []netip.Prefix {
	var subnets []netip.Prefix
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		bits, size := n.Mask.Size()
		if !ok || size == 0 {
			continue
		}
		ip = ip.Unmap()
		subnets = append(subnets, netip.PrefixFrom(ip, bits-size+ip.BitLen()).Masked())
	}
	return subnets
}

func addrIP(a ma.Multiaddr) (netip.Addr, bool) {
	if a == nil {
		return netip.Addr{}, false
	}
	ip, err := manet.ToIP(a)
	if err != nil {
		return netip.Addr{}, false
	}
	addr, ok := netip.AddrFromSlice(ip)
	return addr.Unmap(), ok
}

func isRelayed(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}
