package handlers

import (
	"net"
	"net/http"
	"net/netip"
)

// clientAddress is the address of the one who asks: of the last proxy, where
// there is one, since nothing a client writes into a header can be believed.
func clientAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// clientNetwork returns the network of whoever asks, as limits count it.
func clientNetwork(r *http.Request) string { return networkOf(clientAddress(r)).String() }

// networkOf gives the network that a client address counts as: an IPv4 address
// alone, for those of one network may be anybody's; the /64 of an IPv6 address, for
// all of it is one customer's, whose devices change their addresses within it. It
// is the zero Prefix for what is no address.
func networkOf(address string) netip.Prefix {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	network, _ := ip.Prefix(bits) // fails only for other lengths
	return network
}
