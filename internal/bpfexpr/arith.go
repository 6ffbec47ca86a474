package bpfexpr

import "slices"

// named constants of pcap-filter(7).
var constants = map[string]uint32{
	"icmptype": 0, "icmpcode": 1, "icmp6type": 0, "icmp6code": 1, "tcpflags": 13,
	"tcp-fin": 1, "tcp-syn": 2, "tcp-rst": 4, "tcp-push": 8, "tcp-ack": 16, "tcp-urg": 32, "tcp-ece": 64, "tcp-cwr": 128,
	"icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5, "icmp-echo": 8, "icmp-routeradvert": 9,
	"icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12, "icmp-tstamp": 13, "icmp-tstampreply": 14, "icmp-ireq": 15,
	"icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18,
	"icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3, "icmp6-parameterproblem": 4, "icmp6-echo": 128,
	"icmp6-echoreply": 129, "icmp6-multicastlistenerquery": 130, "icmp6-multicastlistenerreportv1": 131, "icmp6-multicastlistenerdone": 132,
	"icmp6-routersolicit": 133, "icmp6-routeradvert": 134, "icmp6-neighborsolicit": 135, "icmp6-neighboradvert": 136, "icmp6-redirect": 137,
	"icmp6-routerrenum": 138, "icmp6-nodeinformationquery": 139, "icmp6-nodeinformationresponse": 140, "icmp6-multicastlistenerreportv2": 143,
}

// binary operators, the loosest first, as in C. (libpcap 1.10 knows no precedence for % and ^ and reads 2 * 7 % 4 as 2 * (7 % 4).)
var operators = []map[string]uint16{
	{"|": aluOr},
	{"^": aluXor},
	{"&": aluAnd},
	{"<<": aluLsh, ">>": aluRsh},
	{"+": aluAdd, "-": aluSub},
	{"*": aluMul, "/": aluDiv, "%": aluMod},
}

// relation parses a comparison of two arithmetic expressions. It holds only for packets that have the headers spoken of.
func (p *parser) relation() *cond {
	var guards []*cond
	left := p.sum(0, 0, &guards)
	sign := p.accept("=", "==", "!=", "<", ">", "<=", ">=")
	if p.err == nil && sign == "" {
		return p.fail("expected a comparison")
	}
	right := p.sum(0, 0, &guards)
	if p.err != nil {
		return constant(false)
	}
	c := compare(sign, left, right)
	for _, g := range slices.Backward(guards) {
		c = and(g, c)
	}
	return c
}

func compare(sign string, left, right *arith) *cond {
	cmp, negate := uint16(jmpEQ), false
	switch sign {
	case "!=":
		negate = true
	case ">":
		cmp = jmpGT
	case ">=":
		cmp = jmpGE
	case "<":
		cmp, negate = jmpGE, true
	case "<=":
		cmp, negate = jmpGT, true
	}
	var c *cond
	switch ld, ok := left.plainLoad(); {
	case right.leaf != number:
		c = &cond{op: condRel, left: left, right: right, cmp: cmp}
	case left.leaf == number:
		c = constant(jump(cmp, left.num, right.num))
	case ok && cmp == jmpEQ && right.num == 0 && ld.mask != 0:
		unmasked := ld
		unmasked.mask = 0
		c = not(test(unmasked, jmpSET, ld.mask))
	case ok:
		c = test(ld, cmp, right.num)
	default:
		c = &cond{op: condRel, left: left, right: right, cmp: cmp}
	}
	if negate {
		c = not(c)
	}
	return c
}

// plainLoad returns the load that e is: an access at a fixed place, perhaps masked.
func (e *arith) plainLoad() (load, bool) {
	switch {
	case e.leaf == loadAt && e.index == nil:
		return e.ld, true
	case e.leaf == notLeaf && e.op == aluAnd && e.left.leaf == loadAt && e.left.index == nil && e.right.leaf == number && e.right.num != 0:
		return e.left.ld.and(e.right.num), true
	}
	return load{}, false
}

func (p *parser) sum(level, depth int, guards *[]*cond) *arith {
	if depth > maxDepth {
		p.fail("expression nested too deep")
	}
	if level == len(operators) {
		return p.operand(depth, guards)
	}
	left := p.sum(level+1, depth, guards)
	for p.err == nil {
		sign := p.tok()
		op, ok := operators[level][sign.text]
		if !ok || sign.word {
			return left
		}
		p.next++
		right := p.sum(level+1, depth, guards)
		if right.leaf == number {
			if (op == aluDiv || op == aluMod) && right.num == 0 {
				p.failAt(sign, "division by zero")
			}
			if (op == aluLsh || op == aluRsh) && right.num > 31 {
				p.failAt(sign, "shift by more than 31")
			}
			if p.err == nil && left.leaf == number {
				left = &arith{leaf: number, num: alu(op, left.num, right.num)}
				continue
			}
		}
		left = &arith{op: op, left: left, right: right}
	}
	return left
}

func (p *parser) operand(depth int, guards *[]*cond) *arith {
	none := &arith{leaf: number}
	t := p.tok()
	switch {
	case p.err != nil:
		return none
	case p.accept("-") != "":
		e := p.operand(depth+1, guards)
		if e.leaf == number {
			return &arith{leaf: number, num: -e.num}
		}
		return &arith{op: aluMul, left: e, right: &arith{leaf: number, num: ^uint32(0)}}
	case p.accept("(") != "":
		e := p.sum(0, depth+1, guards)
		if p.err == nil && p.accept(")") == "" {
			p.fail("expected \")\"")
		}
		return e
	case !t.word:
		p.fail("expected a number or a protocol")
		return none
	case t.text == "len":
		p.next++
		return &arith{leaf: loadAt, ld: load{place: place{base: inLength}}}
	}
	if n, err := parseNumber(t.text); err == nil {
		p.next++
		return &arith{leaf: number, num: n}
	}
	if n, ok := constants[t.text]; ok {
		p.next++
		return &arith{leaf: number, num: n}
	}
	return p.access(depth, guards)
}

// access parses `protocol [ offset : size ]`.
func (p *parser) access(depth int, guards *[]*cond) *arith {
	none := &arith{leaf: number}
	t := p.tok()
	start, guard, ok := p.header(t)
	if !ok {
		p.fail("expected a number or a protocol")
		return none
	}
	p.next++
	if p.accept("[") == "" {
		p.fail("expected \"[\"")
		return none
	}
	index := p.sum(0, depth+1, guards)
	size := uint32(1)
	if p.err == nil && p.accept(":") != "" {
		at := p.tok()
		size, _ = p.number("size", 4)
		if p.err == nil && size != 1 && size != 2 && size != 4 {
			p.failAt(at, "the size must be 1, 2 or 4")
		}
	}
	if p.err == nil && p.accept("]") == "" {
		p.fail("expected \"]\"")
	}
	if guard != nil {
		*guards = append(*guards, guard)
	}
	e := &arith{leaf: loadAt, ld: load{place: start, size: uint8(size)}}
	if index.leaf == number {
		e.ld.place = start.plus(index.num)
	} else {
		e.index = index
	}
	return e
}

// header returns where a protocol's header starts and the condition that there is one.
func (p *parser) header(t token) (place, *cond, bool) {
	l := &p.at
	if t.text == "ether" || t.text == "link" {
		if p.opt.Live && l.proto.off == extProtocol {
			p.failAt(t, "no link header in a cooked capture")
		}
		return place{}, nil, true
	}
	proto, ok := protocols[t.text]
	switch {
	case !ok:
		return place{}, nil, false
	case proto.ether != 0:
		return l.net, l.is(proto.ether), true
	case proto.v4:
		return l.transport(), and(l.is(etherIPv4), l.ipv4Proto(proto.number), l.whole()), true
	default:
		return l.net.plus(ipv6Header), and(l.is(etherIPv6), equal(at(l.net, 6, 1), proto.number)), true
	}
}
