package server

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
)

// headerClientIP is where the console's server says who logs in.
const headerClientIP = "X-Client-Ip"

// proxies are addresses whose word about where a request comes from counts.
type proxies []netip.Prefix

func trusted(ranges []string) (proxies, error) {
	var all proxies
	for _, text := range ranges {
		prefix, err := config.ParseRange(text)
		if err != nil {
			return nil, err
		}
		all = append(all, prefix.Masked())
	}
	return all, nil
}

// client is the address a request comes from, with a port. Everybody can write
// headers: they count only as far as trusted proxies wrote them. X-Forwarded-For
// is read from its end, where the last of them wrote, up to the first address
// that is not theirs.
func (p proxies) client(r *http.Request) string {
	if len(p) == 0 || !p.has(r.RemoteAddr) {
		return r.RemoteAddr
	}
	forwarded := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for _, hop := range slices.Backward(strings.Split(forwarded, ",")) {
		address, err := hopOf(hop)
		if err != nil && forwarded != "" {
			return r.RemoteAddr // who writes this passes the other headers on as the client wrote them
		}
		if err != nil {
			break
		}
		if !p.contains(address) {
			return net.JoinHostPort(address.Unmap().String(), "0")
		}
	}
	for _, header := range []string{headerClientIP, "X-Real-Ip"} {
		values := r.Header.Values(header)
		if len(values) != 1 {
			continue
		}
		if address, err := netip.ParseAddr(strings.TrimSpace(values[0])); err == nil {
			return net.JoinHostPort(address.Unmap().String(), "0")
		}
	}
	return r.RemoteAddr
}

// hopOf is an address in X-Forwarded-For, which some proxies write with the port.
func hopOf(text string) (netip.Addr, error) {
	text = strings.TrimSpace(text)
	if with, err := netip.ParseAddrPort(text); err == nil {
		return with.Addr(), nil
	}
	return netip.ParseAddr(text)
}

func (p proxies) has(hostPort string) bool {
	parsed, err := netip.ParseAddrPort(hostPort)
	return err == nil && p.contains(parsed.Addr())
}

func (p proxies) contains(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	return slices.ContainsFunc(p, func(one netip.Prefix) bool { return one.Contains(address) })
}
