// Package dumper writes flow records as text in the three layouts of flowdumper:
// one line a flow, the older line of fixed columns, and a block of lines. It also
// knows the names of TCP flags and ICMP messages.
package dumper

import "flowtools/internal/clib"

// Protocol numbers that a record is shown differently for.
const (
	ICMP = 1
	TCP  = 6
	UDP  = 17
)

// Constant is a number with the name expressions know it by.
type Constant struct {
	Name  string
	Value int
}

// flagNames are the TCP flags in the order they are shown in.
var flagNames = [...]Constant{{"URG", 0x20}, {"PUSH", 0x08}, {"SYN", 0x02}, {"RST", 0x04}, {"FIN", 0x01}, {"ACK", 0x10}}

// AppendFlags appends the names of the flags that are set, as PUSH|SYN|FIN|ACK;
// bits without a name show nothing.
func AppendFlags(dst []byte, flags uint64) []byte {
	start := len(dst)
	for i := range flagNames {
		if flags&uint64(flagNames[i].Value) == 0 {
			continue
		}
		if len(dst) > start {
			dst = append(dst, '|')
		}
		dst = append(dst, flagNames[i].Name...)
	}
	return dst
}

// message is an ICMP type: its name, and the names of its codes from 0 on.
type message struct {
	kind  int
	name  string
	codes []string
}

var messages = [...]message{
	{0, "ECHOREPLY", nil},
	{3, "DEST_UNREACH", []string{
		"NET_UNREACH", "HOST_UNREACH", "PROT_UNREACH", "PORT_UNREACH", "FRAG_NEEDED", "SR_FAILED", "NET_UNKNOWN", "HOST_UNKNOWN",
		"HOST_ISOLATED", "NET_ANO", "HOST_ANO", "NET_UNR_TOS", "HOST_UNR_TOS", "PKT_FILTERED", "PREC_VIOLATION", "PREC_CUTOFF",
	}},
	{4, "SOURCE_QUENCH", nil},
	{5, "REDIRECT", []string{"REDIRECT_NET", "REDIRECT_HOST", "REDIRECT_NETTOS", "REDIRECT_HOSTTOS"}},
	{8, "ECHO", nil},
	{11, "TIME_EXCEEDED", []string{"EXC_TTL", "EXC_FRAGTIME"}},
	{12, "PARAMETERPROB", nil},
	{13, "TIMESTAMP", nil},
	{14, "TIMESTAMPREPLY", nil},
	{15, "INFO_REQUEST", nil},
	{16, "INFO_REPLY", nil},
	{17, "ADDRESS", nil},
	{18, "ADDRESSREPLY", nil},
}

// ICMPName returns the name of the code, else of the type, that the destination
// port of an ICMP flow stands for; "" if neither has one.
func ICMPName(dstport uint64) string {
	kind, code := int(dstport>>8), int(dstport&0xff)
	for i := range messages {
		m := &messages[i]
		switch {
		case m.kind != kind:
		case code < len(m.codes):
			return m.codes[code]
		default:
			return m.name
		}
	}
	return ""
}

// Constants are the named numbers of expressions: TCP flags (TH_SYN), protocols
// (tcp), ICMP types and codes (ICMP_ECHO).
func Constants() []Constant {
	list := []Constant{{"icmp", ICMP}, {"tcp", TCP}, {"udp", UDP}}
	for _, f := range flagNames {
		list = append(list, Constant{"TH_" + f.Name, f.Value})
	}
	for i := range messages {
		list = append(list, Constant{"ICMP_" + messages[i].name, messages[i].kind})
	}
	for i := range messages {
		for code, name := range messages[i].codes {
			list = append(list, Constant{"ICMP_" + name, code})
		}
	}
	return list
}

// appendParen appends name in parentheses behind lead; nothing for an empty name.
func appendParen(dst []byte, lead, name string) []byte {
	if name == "" {
		return dst
	}
	dst = append(dst, lead...)
	dst = append(dst, '(')
	dst = append(dst, name...)
	return append(dst, ')')
}

// appendFlagNames is appendParen for TCP flags.
func appendFlagNames(dst []byte, lead string, flags uint64) []byte {
	start := len(dst)
	dst = append(dst, lead...)
	dst = append(dst, '(')
	open := len(dst)
	if dst = AppendFlags(dst, flags); len(dst) == open {
		return dst[:start]
	}
	return append(dst, ')')
}

func appendHex(dst []byte, v uint64) []byte { return clib.AppendHex(append(dst, "0x"...), v, 0) }
