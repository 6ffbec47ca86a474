package capture

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"strings"

	"flowtools/pkg/ftfile"
)

// Access decides by the files of TCP wrappers, hosts_access(5), who may connect:
// the first rule for the service and the client's address in Allow permits, else
// the first one in Deny refuses, else everybody may. An option allow or deny of a
// rule decides in place of its file. Files that are not there have no rules.
//
// Clients are told by address: ALL, 192.0.2.1, 192.0.2. (what begins so),
// 192.0.2.0/255.255.255.0, 192.0.2.0/24, [2001:db8::]/32, 192.0.2.* and EXCEPT.
// Host and user names, netgroups and commands are not looked up or run, and
// match nobody.
type Access struct {
	Service     string
	Allow, Deny string // names of the files
	Warn        func(format string, args ...any)
}

// SystemAccess are the rules of this system for a service.
func SystemAccess(service string, warn func(format string, args ...any)) *Access {
	return &Access{Service: service, Allow: "/etc/hosts.allow", Deny: "/etc/hosts.deny", Warn: warn}
}

// Permits reports whether remote may connect to local. The files are read each time.
func (a *Access) Permits(local, remote netip.Addr) bool {
	for _, file := range []struct {
		name   string
		permit bool
	}{{a.Allow, true}, {a.Deny, false}} {
		text, err := os.ReadFile(file.name)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				a.Warn("open(%s): %v", file.name, ftfile.Reason(err))
			}
			continue
		}
		for _, rule := range accessRules(string(text)) {
			if m := (accessMatch{a, file.name, local.Unmap(), remote.Unmap()}); m.rule(rule) {
				return verdict(rule, file.permit)
			}
		}
	}
	return true
}

// accessRules splits a file into rules and those into fields: the services, the
// clients, options. A backslash continues a line.
func accessRules(text string) [][]string {
	text = strings.ReplaceAll(text, "\\\n", "")
	var rules [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if fields := accessFields(line); len(fields) >= 2 {
			rules = append(rules, fields)
		}
	}
	return rules
}

// accessFields splits a line at colons that are neither in brackets nor behind a
// backslash.
func accessFields(line string) []string {
	var fields []string
	start, bracket := 0, false
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '[':
			bracket = true
		case ']':
			bracket = false
		case ':':
			if !bracket {
				fields = append(fields, line[start:i])
				start = i + 1
			}
		}
	}
	return append(fields, line[start:])
}

// verdict is what a rule that matches says.
func verdict(rule []string, permit bool) bool {
	for _, option := range rule[2:] {
		switch word, _, _ := strings.Cut(strings.TrimSpace(option), " "); strings.ToLower(word) {
		case "allow":
			permit = true
		case "deny", "twist": // twist serves something else
			permit = false
		}
	}
	return permit
}

// accessMatch is a connection held against the rules of a file.
type accessMatch struct {
	*Access
	file          string
	local, remote netip.Addr
}

func (m *accessMatch) rule(fields []string) bool {
	words := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t,", r) })
	}
	return matchList(words(fields[0]), m.service) && matchList(words(fields[1]), m.client)
}

// matchList reports whether a word of list matches, up to EXCEPT, and the list
// behind that does not.
func matchList(list []string, match func(string) bool) bool {
	for i, word := range list {
		if strings.EqualFold(word, "EXCEPT") {
			return false
		}
		if !match(word) {
			continue
		}
		for j := i + 1; j < len(list); j++ {
			if strings.EqualFold(list[j], "EXCEPT") {
				return !matchList(list[j+1:], match)
			}
		}
		return true
	}
	return false
}

// service matches SERVICE, SERVICE@ADDRESS, where ADDRESS is ours, and ALL.
func (m *accessMatch) service(word string) bool {
	name, host, at := strings.Cut(word, "@")
	return (strings.EqualFold(name, "ALL") || strings.EqualFold(name, m.Service)) && (!at || m.host(host, m.local))
}

func (m *accessMatch) client(word string) bool {
	if strings.Contains(word, "@") {
		return m.unsupported(word)
	}
	return m.host(word, m.remote)
}

// host matches a pattern for addresses.
func (m *accessMatch) host(word string, addr netip.Addr) bool {
	net, mask, slash := strings.Cut(word, "/")
	net = strings.TrimSuffix(strings.TrimPrefix(net, "["), "]")
	text := addr.WithZone("").String()
	switch base, err := netip.ParseAddr(net); {
	case strings.EqualFold(word, "ALL"):
		return true
	case slash && err == nil:
		prefix, ok := maskPrefix(base, mask)
		return ok && prefix.Contains(addr.WithZone(""))
	case slash:
		return m.unsupported(word) // a file of patterns
	case err == nil:
		return base == addr.WithZone("")
	case strings.HasSuffix(word, ".") && digits(word):
		return strings.HasPrefix(text, word)
	case strings.ContainsAny(word, "*?") && !strings.ContainsAny(word, `[\`):
		ok, err := path.Match(word, text)
		return ok && err == nil
	}
	return m.unsupported(word)
}

// unsupported says that a pattern is left out.
func (m *accessMatch) unsupported(word string) bool {
	m.Warn("%s: %.100q is no address and matches nobody", m.file, word)
	return false
}

// digits reports whether a pattern is made of octets.
func digits(s string) bool { return strings.Trim(s, "0123456789.") == "" }

// maskPrefix returns the network base/mask; the mask is a length or, of IPv4, an
// address.
func maskPrefix(base netip.Addr, mask string) (netip.Prefix, bool) {
	if m, err := netip.ParseAddr(mask); err == nil && m.Is4() && base.Is4() {
		n := AddrNumber(m)
		bits := 0
		for ; n&(1<<31) != 0; n <<= 1 {
			bits++
		}
		return netip.PrefixFrom(base, bits), n == 0
	}
	p, err := netip.ParsePrefix(fmt.Sprintf("%v/%s", base, mask))
	return p, err == nil
}
