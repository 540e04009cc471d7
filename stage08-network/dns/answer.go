package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// own is the answer that can be given without asking another server, in at most limit bytes,
// and nil for a message that is not a question. One that is not final is for the case that no
// other server answers.
func (s *Server) own(message []byte, limit int) (answer []byte, final bool) {
	var parser dnsmessage.Parser
	header, err := parser.Start(message)
	if err != nil || header.Response {
		return nil, true
	}
	question, err := parser.Question()
	switch {
	case header.OpCode != 0:
		return reply(header, nil, dnsmessage.RCodeNotImplemented), true
	case err != nil:
		return reply(header, nil, dnsmessage.RCodeFormatError), true
	}
	records, err := s.Lookup(strings.ToLower(strings.TrimSuffix(question.Name.String(), ".")))
	switch {
	case errors.Is(err, ErrNoName):
		return reply(header, &question, dnsmessage.RCodeNameError), true
	case err != nil:
		final = !errors.Is(err, ErrUnknown)
		return reply(header, &question, dnsmessage.RCodeServerFailure), final
	}
	return fitted(limit, header, question, s.resources(question, records)), true
}

// resources are the records that answer a question.
func (s *Server) resources(q dnsmessage.Question, records Records) (list []dnsmessage.Resource) {
	add := func(body dnsmessage.ResourceBody, kind dnsmessage.Type) {
		if q.Class != dnsmessage.ClassINET || q.Type != kind {
			return
		}
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: s.TTL}
		list = append(list, dnsmessage.Resource{Header: header, Body: body})
	}
	for _, addr := range records.Addrs {
		if addr.Is4() {
			add(&dnsmessage.AResource{A: addr.As4()}, dnsmessage.TypeA)
		} else {
			add(&dnsmessage.AAAAResource{AAAA: addr.As16()}, dnsmessage.TypeAAAA)
		}
	}
	for _, name := range records.Names {
		if target, err := dnsmessage.NewName(name + "."); err == nil {
			add(&dnsmessage.PTRResource{PTR: target}, dnsmessage.TypePTR)
		}
	}
	return list
}

// fitted is an answer of at most limit bytes. One that lacks some of the resources says so, and
// a client that wants all of them asks over TCP.
func fitted(limit int, header dnsmessage.Header, question dnsmessage.Question,
	resources []dnsmessage.Resource) []byte {
	header.Truncated = false
	for {
		packed := reply(header, &question, dnsmessage.RCodeSuccess, resources...)
		if len(packed) <= limit {
			return packed
		}
		header.Truncated, resources = true, resources[:len(resources)*limit/len(packed)]
	}
}

// reply packs an answer of our own.
func reply(header dnsmessage.Header, question *dnsmessage.Question, code dnsmessage.RCode,
	answers ...dnsmessage.Resource) []byte {
	m := dnsmessage.Message{Answers: answers}
	m.ID, m.Response, m.Truncated, m.RCode = header.ID, true, header.Truncated, code
	m.OpCode, m.RecursionDesired, m.RecursionAvailable = header.OpCode, header.RecursionDesired, true
	if question != nil {
		m.Questions = []dnsmessage.Question{*question}
	}
	packed, err := m.Pack()
	if err != nil { // a name that cannot be packed again
		return nil
	}
	return packed
}

// ReverseName is the name to ask for the name of an address (PTR), without a dot at the end:
// 2.0.0.10.in-addr.arpa for 10.0.0.2 (RFC 1035, section 3.5; RFC 3596, section 2.5).
func ReverseName(addr netip.Addr) string {
	var labels []string
	for _, b := range slices.Backward(addr.AsSlice()) {
		if addr.Is4() {
			labels = append(labels, strconv.Itoa(int(b)))
		} else {
			labels = append(labels, fmt.Sprintf("%x.%x", b&15, b>>4))
		}
	}
	if addr.Is4() {
		return strings.Join(labels, ".") + ".in-addr.arpa"
	}
	return strings.Join(labels, ".") + ".ip6.arpa"
}
