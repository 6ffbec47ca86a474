package bpfexpr

import (
	"errors"

	"golang.org/x/net/bpf"
)

// A compiled expression is a tree of conditions; gen turns it into code by passing every condition two labels, where to go
// when it holds and where when it does not. All jumps are forward, so when a label is reached everything that jumps there has
// been emitted, and what all those places agree on about the registers and the packet is known: loads and tests whose result is
// known are left out.

type condOp uint8

const (
	condAnd condOp = iota
	condOr
	condNot
	condConst  // value
	condTest   // load cmp k
	condRel    // left cmp right, general arithmetic
	condTagged // live Ethernet: a VLAN tag, beside the frame or in it; sets the shift word
)

type cond struct {
	op          condOp
	a, b        *cond
	value       bool
	ld          load
	cmp         uint16 // jmpEQ, jmpGT, jmpGE, jmpSET
	k           uint32
	left, right *arith
}

func and(list ...*cond) *cond { return fold(condAnd, list) }
func or(list ...*cond) *cond  { return fold(condOr, list) }

func fold(op condOp, list []*cond) *cond {
	c := list[0]
	for _, b := range list[1:] {
		c = &cond{op: op, a: c, b: b}
	}
	return c
}

func not(c *cond) *cond { return &cond{op: condNot, a: c} }

func constant(v bool) *cond { return &cond{op: condConst, value: v} }

func test(ld load, cmp uint16, k uint32) *cond { return &cond{op: condTest, ld: ld, cmp: cmp, k: k} }

func equal(ld load, k uint32) *cond { return test(ld, jmpEQ, k) }

// base is what the offset of a load counts from.
type base uint8

const (
	inFrame   base = iota // the start of the frame
	inShifted             // the start of the frame plus a memory word
	inIPv4                // the end of the IPv4 header that starts at place.ip
	inLength              // no load: the length on the wire
)

// place is an offset in the packet.
type place struct {
	base base
	word uint8 // inShifted, and inIPv4 when late: the memory word
	off  uint32
	ip   uint32 // inIPv4: where the IPv4 header starts
	late bool   // inIPv4: ip counts from a memory word
}

func (p place) plus(n uint32) place { p.off += n; return p }

// load is what the accumulator is loaded with: size octets at a place, cut by mask where that is not 0.
type load struct {
	place
	size uint8
	mask uint32
}

func at(p place, n uint32, size uint8) load { return load{place: p.plus(n), size: size} }

func (l load) and(mask uint32) load { l.mask = mask; return l }

// arith is an arithmetic expression: a number, a length, a load, or an operation.
type arith struct {
	op    uint16 // an ALU operation of left and right, when leaf is notLeaf
	leaf  leafKind
	num   uint32
	ld    load   // loadAt: the place when index is a number
	index *arith // loadAt: added to the place when not nil
	left  *arith
	right *arith
}

type leafKind uint8

const (
	notLeaf leafKind = iota
	number
	loadAt
)

// xreg is what the index register holds.
type xreg struct {
	known bool
	word  uint8  // the memory word, or
	ipv4  bool   // the length of the IPv4 header at ip,
	ip    uint32 //
	late  bool   // plus the memory word
}

// register returns what the index register must hold to reach p.
func (p place) register() xreg {
	return xreg{known: true, word: p.word, ipv4: p.base == inIPv4, ip: p.ip, late: p.late}
}

// fact is a test of the packet whose outcome is known.
type fact struct {
	ld load
	k  uint32
	is bool
}

// state is what is known at a point of the program.
type state struct {
	a      load
	aKnown bool
	x      xreg
	facts  []fact // never changed in place
}

// meet is what two states agree on.
func (s state) meet(o state) state {
	if !o.aKnown || s.a != o.a {
		s.aKnown = false
	}
	if s.x != o.x {
		s.x = xreg{}
	}
	var kept []fact
	for _, f := range s.facts {
		for _, g := range o.facts {
			if f == g {
				kept = append(kept, f)
				break
			}
		}
	}
	s.facts = kept
	return s
}

// decided returns the outcome of a test when it is known.
func (s *state) decided(c *cond) (outcome, known bool) {
	for _, f := range s.facts {
		if f.ld != c.ld {
			continue
		}
		if f.is {
			return jump(c.cmp, f.k, c.k), true
		}
		if c.cmp == jmpEQ && f.k == c.k {
			return false, true
		}
	}
	return false, false
}

func (s state) with(f fact) state {
	s.facts = append(s.facts[:len(s.facts):len(s.facts)], f)
	return s
}

type label struct {
	at    int // index of the instruction it stands before
	used  bool
	state state
}

type instr struct {
	op     uint16
	k      uint32
	jt, jf *label // jumps; an unconditional one has jt only
}

type gen struct {
	list      []instr
	st        state
	reachable bool
	err       error
}

// The memory words: two for link headers of variable length (or the VLAN tag that may or may not be in the frame), the others
// for intermediate results.
const (
	shiftWord   = 0
	payloadWord = 1
	firstTemp   = 2
	memoryEnds  = 16
)

func (g *gen) emit(op uint16, k uint32) { g.list = append(g.list, instr{op: op, k: k}) }

// refer notes that the code can go from here to l in state s.
func (g *gen) refer(l *label, s state) *label {
	if l.used {
		l.state = l.state.meet(s)
	} else {
		l.used, l.state = true, s
	}
	return l
}

func (g *gen) place(l *label) {
	l.at = len(g.list)
	g.reachable = l.used
	g.st = l.state
}

func (g *gen) goTo(l *label) {
	if g.reachable {
		g.list = append(g.list, instr{op: classJMP | jmpJA, jt: g.refer(l, g.st)})
		g.reachable = false
	}
}

// branch emits a conditional jump; taken and other are the states on its two ways.
func (g *gen) branch(op uint16, k uint32, t, f *label, taken, other state) {
	g.list = append(g.list, instr{op: classJMP | op, k: k, jt: g.refer(t, taken), jf: g.refer(f, other)})
	g.reachable = false
}

// cond emits code that goes to t when c holds and to f when not.
func (g *gen) cond(c *cond, t, f *label) {
	if !g.reachable {
		return
	}
	switch c.op {
	case condAnd:
		var mid label
		g.cond(c.a, &mid, f)
		g.place(&mid)
		g.cond(c.b, t, f)
	case condOr:
		var mid label
		g.cond(c.a, t, &mid)
		g.place(&mid)
		g.cond(c.b, t, f)
	case condNot:
		g.cond(c.a, f, t)
	case condConst:
		if c.value {
			g.goTo(t)
		} else {
			g.goTo(f)
		}
	case condTest:
		g.test(c, t, f)
	case condRel:
		g.relation(c, t, f)
	case condTagged:
		g.tagged(c.ld, t, f)
	}
}

func (g *gen) test(c *cond, t, f *label) {
	if outcome, known := g.st.decided(c); known {
		if !outcome {
			t = f
		}
		g.goTo(t)
		return
	}
	g.load(c.ld)
	taken, other := g.st, g.st
	if c.cmp == jmpEQ {
		taken, other = taken.with(fact{c.ld, c.k, true}), other.with(fact{c.ld, c.k, false})
	}
	g.branch(c.cmp, c.k, t, f, taken, other)
}

// sizes of load instructions by octets.
var sizeCode = [...]uint16{1: sizeB, 2: sizeH, 4: sizeW}

// load brings l into the accumulator.
func (g *gen) load(l load) {
	if g.st.aKnown && g.st.a == l {
		return
	}
	switch l.base {
	case inLength:
		g.emit(classLD|modeLEN, 0)
	case inFrame:
		g.emit(classLD|sizeCode[l.size]|modeABS, l.off)
	case inShifted, inIPv4:
		g.index(l.register())
		g.emit(classLD|sizeCode[l.size]|modeIND, l.ip+l.off)
	}
	if l.mask != 0 {
		g.emit(classALU|aluAnd, l.mask)
	}
	g.st.a, g.st.aKnown = l, true
}

// index brings x into the index register. It may destroy the accumulator.
func (g *gen) index(x xreg) {
	if g.st.x == x {
		return
	}
	switch {
	case !x.ipv4:
		g.emit(classLDX|modeMEM, uint32(x.word))
	case !x.late:
		g.emit(classLDX|sizeB|modeMSH, x.ip)
	default:
		g.index(xreg{known: true, word: x.word})
		g.emit(classLD|sizeB|modeIND, x.ip)
		g.emit(classALU|aluAnd, 0x0f)
		g.emit(classALU|aluLsh, 2)
		g.emit(classALU|aluAdd|srcX, 0)
		g.emit(classTAX, 0)
		g.st.aKnown = false
	}
	g.st.x = x
}

// tagged looks for a VLAN tag beside the frame, then in it (kind is its type field), and sets the shift word to the room it
// takes in the frame.
func (g *gen) tagged(kind load, t, f *label) {
	var beside, inside, set label
	g.emit(classLD|sizeB|modeABS, extVLANIsSet)
	g.st.aKnown = false
	g.branch(jmpEQ, 1, &beside, &inside, g.st, g.st)
	g.place(&inside)
	g.cond(or(equal(kind, 0x8100), equal(kind, 0x88a8), equal(kind, 0x9100)), &set, f)
	g.place(&set)
	g.emit(classLD|modeIMM, 4)
	g.emit(classST, shiftWord)
	g.st.aKnown, g.st.x = false, xreg{}
	g.goTo(t)
	g.place(&beside) // the word is 0 from the start
	g.goTo(t)
}

func (g *gen) relation(c *cond, t, f *label) {
	if c.right.leaf == number {
		g.arith(c.left, firstTemp)
		g.branch(c.cmp, c.right.num, t, f, g.st, g.st)
		return
	}
	g.pair(c.left, c.right, firstTemp)
	g.branch(c.cmp|srcX, 0, t, f, g.st, g.st)
}

// pair computes left into the accumulator and right into the index register.
func (g *gen) pair(left, right *arith, temp uint32) {
	g.arith(left, temp)
	g.store(temp)
	g.arith(right, temp+1)
	g.emit(classTAX, 0)
	g.emit(classLD|modeMEM, temp)
	g.st.aKnown, g.st.x = false, xreg{}
}

func (g *gen) store(temp uint32) {
	if temp >= memoryEnds {
		g.err = errors.New("filter expression: arithmetic nested too deep")
		return
	}
	g.emit(classST, temp)
}

// arith computes e into the accumulator, using memory words from temp on.
func (g *gen) arith(e *arith, temp uint32) {
	switch e.leaf {
	case number:
		g.emit(classLD|modeIMM, e.num)
		g.st.aKnown = false
		return
	case loadAt:
		if e.index == nil {
			g.load(e.ld)
			return
		}
		g.arith(e.index, temp)
		if e.ld.base != inFrame {
			if x := e.ld.register(); g.st.x != x {
				g.store(temp)
				g.index(x)
				g.emit(classLD|modeMEM, temp)
			}
			g.emit(classALU|aluAdd|srcX, 0)
		}
		g.emit(classTAX, 0)
		g.emit(classLD|sizeCode[e.ld.size]|modeIND, e.ld.ip+e.ld.off)
		g.st.aKnown, g.st.x = false, xreg{}
		return
	}
	if e.right.leaf == number {
		g.arith(e.left, temp)
		g.emit(classALU|e.op, e.right.num)
	} else {
		g.pair(e.left, e.right, temp)
		g.emit(classALU|e.op|srcX, 0)
	}
	g.st.aKnown = false
}

// finish turns the list into a program. It works backwards, so that the distance of every jump is known when it is met; one
// of more than 255 goes by way of unconditional jumps placed behind it.
func (g *gen) finish() ([]bpf.RawInstruction, error) {
	n := len(g.list)
	fromEnd := make([]int, n+1) // of each instruction's first word
	var out []bpf.RawInstruction
	target := func(l *label) int {
		i := l.at
		for g.list[i].op == classJMP|jmpJA {
			i = g.list[i].jt.at
		}
		return fromEnd[i]
	}
	for i := n - 1; i >= 0; i-- {
		in := g.list[i]
		switch {
		case in.op == classJMP|jmpJA:
			// Reached only by falling into it: jumps to it were sent on.
			falls := i > 0 && g.list[i-1].op&7 != classJMP && g.list[i-1].op&7 != classRET
			if skip := len(out) - target(in.jt); falls && skip > 0 {
				out = append(out, bpf.RawInstruction{Op: in.op, K: uint32(skip)})
			}
		case in.op&7 == classJMP:
			t, f := len(out)-target(in.jt), len(out)-target(in.jf)
			if t == f {
				if t > 0 {
					out = append(out, bpf.RawInstruction{Op: classJMP | jmpJA, K: uint32(t)})
				}
				break
			}
			if f > 255 || t+1 > 255 && f > 254 {
				out = append(out, bpf.RawInstruction{Op: classJMP | jmpJA, K: uint32(f)})
				f = 0
				t++
			}
			if t > 255 {
				out = append(out, bpf.RawInstruction{Op: classJMP | jmpJA, K: uint32(t)})
				t = 0
				f++
			}
			out = append(out, bpf.RawInstruction{Op: in.op, Jt: uint8(t), Jf: uint8(f), K: in.k})
		default:
			out = append(out, bpf.RawInstruction{Op: in.op, K: in.k})
		}
		fromEnd[i] = len(out)
	}
	if len(out) > maxInstructions {
		return nil, errors.New("filter expression: the program is too long")
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out, nil
}

// compile makes the program of a condition; prologue sets the shift word where the expression uses it.
func compile(c *cond, prologue func(g *gen), snap uint32) ([]bpf.RawInstruction, error) {
	g := &gen{reachable: true}
	if prologue != nil {
		prologue(g)
	}
	var yes, no label
	g.cond(c, &yes, &no)
	for _, end := range []struct {
		l *label
		k uint32
	}{{&yes, snap}, {&no, 0}} {
		if g.place(end.l); g.reachable {
			g.emit(classRET, end.k)
		}
	}
	if g.err != nil {
		return nil, g.err
	}
	return g.finish()
}
