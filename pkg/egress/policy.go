package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
)

// ErrRefused is the error of a connection to an address nobody may have called.
var ErrRefused = errors.New("the address is not one this server calls")

// dialWithin bounds how long a connection may take to be made.
const dialWithin = 5 * time.Second

// Guard makes connections to where they may go.
type Guard struct {
	// Inside reports whether an address belongs to the cluster; none does if nil.
	Inside func(ctx context.Context, address netip.Addr) (bool, error)
	// Resolver finds addresses; the system's if nil.
	Resolver *net.Resolver
	// InterfaceAddrs returns the addresses of this host's interfaces.
	InterfaceAddrs func() ([]net.Addr, error)

	allowed, denied []netip.Prefix
	hosts           []string
}

// New returns a guard with what is configured.
func New(options config.Egress, inside func(ctx context.Context, address netip.Addr) (bool, error)) (*Guard, error) {
	g := &Guard{Inside: inside, InterfaceAddrs: net.InterfaceAddrs}
	for _, text := range options.Deny {
		prefix, err := config.ParseRange(text)
		if err != nil {
			return nil, fmt.Errorf("egress.deny: %w", err)
		}
		g.denied = append(g.denied, prefix)
	}
	for _, text := range options.Allow {
		if prefix, err := config.ParseRange(text); err == nil {
			g.allowed = append(g.allowed, prefix)
		} else {
			g.hosts = append(g.hosts, strings.ToLower(text))
		}
	}
	return g, nil
}

// special are the addresses that are no other host, or a host that trusts
// whoever reaches it, whatever the cluster. Private ones are not among them:
// that is where registries are.
func special() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "fe80::/10", "fec0::/10", "ff00::/8",
		// Metadata of Oracle's, Azure's, Alibaba's and Amazon's clouds that is not
		// link-local.
		"192.0.0.0/24", "168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::/32",
		// Ways to IPv4 addresses within IPv6 ones, but for NAT64's own.
		"::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16",
	} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// nat64 are the IPv6 addresses of IPv4 hosts (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// plain is an address in the form it is compared in: mapped and translated IPv4
// addresses are what they stand for.
func plain(address netip.Addr) netip.Addr {
	address = address.Unmap().WithZone("")
	if nat64.Contains(address) {
		bytes := address.As16()
		return netip.AddrFrom4([4]byte(bytes[12:]))
	}
	return address
}

// Check returns ErrRefused for an address nobody may have called.
func (g *Guard) Check(ctx context.Context, address netip.Addr) error {
	address = plain(address)
	if within(g.allowed, address) {
		return nil
	}
	if !address.IsValid() || within(special(), address) || within(g.denied, address) {
		return ErrRefused
	}
	local, err := g.isLocal(address)
	if err != nil {
		return fmt.Errorf("finding out whether an address belongs to this host: %w", err)
	}
	if local {
		return ErrRefused
	}
	if g.Inside == nil {
		return nil
	}
	inside, err := g.Inside(ctx, address)
	if err != nil {
		return fmt.Errorf("finding out whether an address belongs to the cluster: %w", err)
	}
	if inside {
		return ErrRefused
	}
	return nil
}

// isLocal reports whether an interface of this host has an address now: they come and go
// while the server runs.
func (g *Guard) isLocal(address netip.Addr) (bool, error) {
	addresses, err := g.InterfaceAddrs()
	if err != nil {
		return false, err
	}
	for _, one := range addresses {
		network, isNetwork := one.(*net.IPNet)
		if !isNetwork {
			continue
		}
		if local, ok := netip.AddrFromSlice(network.IP); ok && plain(local) == address {
			return true, nil
		}
	}
	return false, nil
}

func within(prefixes []netip.Prefix, address netip.Addr) bool {
	for _, prefix := range prefixes {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// names reports whether a host is allowed by its name.
func (g *Guard) names(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, allowed := range g.hosts {
		if suffix, below := strings.CutPrefix(allowed, "*"); host == allowed || below && strings.HasSuffix(host, suffix) && len(host) > len(suffix) {
			return true
		}
	}
	return false
}

// DialContext connects to a host, if that may be: what is checked are the very
// addresses that are tried.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: dialWithin, Resolver: g.Resolver}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if !g.names(host) {
		dialer.ControlContext = func(ctx context.Context, _, to string, _ syscall.RawConn) error {
			found, err := netip.ParseAddrPort(to)
			if err != nil {
				return ErrRefused
			}
			return g.Check(ctx, found.Addr())
		}
	}
	return dialer.DialContext(ctx, network, address)
}
