// Package bpfexpr compiles capture filter expressions, the language of tcpdump(8) as pcap-filter(7) describes it, to classic BPF
// programs, and runs such programs over packets from files.
//
// A program compiled for live capture is meant for the kernel: there the outermost VLAN tag is not in the frame but beside
// it, and a cooked capture sees no link header at all.
package bpfexpr

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/net/bpf"
)

// Program is a checked BPF program: Run never fails, never loops and never reads outside the packet.
type Program struct {
	code []bpf.RawInstruction
}

// maxInstructions is the kernel's limit (BPF_MAXINSNS).
const maxInstructions = 4096

// Instruction classes, modes and operations of classic BPF, as the kernel numbers them.
const (
	classLD, classLDX, classST, classSTX   = 0x00, 0x01, 0x02, 0x03
	classALU, classJMP, classRET, classTAX = 0x04, 0x05, 0x06, 0x07

	sizeW, sizeH, sizeB = 0x00, 0x08, 0x10

	modeIMM, modeABS, modeIND, modeMEM, modeLEN, modeMSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xa0

	aluAdd, aluSub, aluMul, aluDiv, aluOr, aluAnd = 0x00, 0x10, 0x20, 0x30, 0x40, 0x50
	aluLsh, aluRsh, aluNeg, aluMod, aluXor        = 0x60, 0x70, 0x80, 0x90, 0xa0

	jmpJA, jmpEQ, jmpGT, jmpGE, jmpSET = 0x00, 0x10, 0x20, 0x30, 0x40

	srcX, retA = 0x08, 0x10
	txa        = 0x80
)

// Loads at and above this offset read what the kernel knows about a packet and not the packet.
const (
	ancillary    = 0xffff_f000
	extProtocol  = ancillary + 0
	extType      = ancillary + 4
	extVLANTag   = ancillary + 44
	extVLANIsSet = ancillary + 48
)

// New checks a program as the kernel would and returns it.
func New(code []bpf.RawInstruction) (*Program, error) {
	n := len(code)
	switch {
	case n == 0:
		return nil, errors.New("empty BPF program")
	case n > maxInstructions:
		return nil, fmt.Errorf("BPF program of %d instructions, the limit is %d", n, maxInstructions)
	}
	for i, in := range code {
		if err := check(in, n-i-1); err != nil {
			return nil, fmt.Errorf("BPF instruction %d: %w", i, err)
		}
	}
	if code[n-1].Op&7 != classRET {
		return nil, errors.New("BPF program does not end with a return")
	}
	return &Program{append([]bpf.RawInstruction(nil), code...)}, nil
}

// check looks at one instruction with rest more behind it.
func check(in bpf.RawInstruction, rest int) error {
	switch in.Op {
	case classLD | sizeW | modeABS, classLD | sizeH | modeABS, classLD | sizeB | modeABS,
		classLD | sizeW | modeIND, classLD | sizeH | modeIND, classLD | sizeB | modeIND,
		classLD | modeIMM, classLDX | modeIMM, classLD | modeLEN, classLDX | modeLEN, classLDX | sizeB | modeMSH,
		classALU | aluNeg, classTAX, classTAX | txa, classRET, classRET | retA:
		return nil
	case classLD | modeMEM, classLDX | modeMEM, classST, classSTX:
		if in.K >= 16 {
			return fmt.Errorf("there is no memory word %d", in.K)
		}
		return nil
	}
	switch in.Op & 7 {
	case classALU:
		op := in.Op &^ 7 &^ srcX
		if op > aluXor || op == aluNeg {
			break
		}
		if in.Op&srcX == 0 && in.K == 0 && (op == aluDiv || op == aluMod) {
			return errors.New("division by zero")
		}
		if in.Op&srcX == 0 && in.K >= 32 && (op == aluLsh || op == aluRsh) {
			return fmt.Errorf("shift by %d", in.K)
		}
		return nil
	case classJMP:
		op := in.Op &^ 7 &^ srcX
		if op == jmpJA && in.Op&srcX == 0 {
			if uint64(in.K) >= uint64(rest) {
				return errors.New("jump out of the program")
			}
			return nil
		}
		if op >= jmpEQ && op <= jmpSET {
			if int(in.Jt) >= rest || int(in.Jf) >= rest {
				return errors.New("jump out of the program")
			}
			return nil
		}
	}
	return fmt.Errorf("unknown operation %#04x", in.Op)
}

// Raw returns the program for a socket.
func (p *Program) Raw() []bpf.RawInstruction { return p.code }

// Match reports whether the program accepts a frame of which data was captured and that had wire octets.
func (p *Program) Match(data []byte, wire int) bool { return p.Run(data, wire) != 0 }

// Run returns how many octets of the frame the program accepts, 0 to drop it. As in libpcap the data of files carries no
// VLAN tag beside the frame, and other loads of what a kernel knows drop the packet, as do loads outside the data.
func (p *Program) Run(data []byte, wire int) uint32 {
	var (
		a, x uint32
		mem  [16]uint32
	)
	code := p.code
	for pc := 0; pc < len(code); pc++ {
		in := &code[pc]
		k := in.K
		switch in.Op {
		case classLD | sizeW | modeABS:
			if uint64(k)+4 > uint64(len(data)) {
				if k != extVLANTag && k != extVLANIsSet {
					return 0
				}
				a = 0
				continue
			}
			a = binary.BigEndian.Uint32(data[k:])
		case classLD | sizeH | modeABS:
			if uint64(k)+2 > uint64(len(data)) {
				return 0
			}
			a = uint32(binary.BigEndian.Uint16(data[k:]))
		case classLD | sizeB | modeABS:
			if uint64(k) >= uint64(len(data)) {
				if k != extVLANTag && k != extVLANIsSet {
					return 0
				}
				a = 0
				continue
			}
			a = uint32(data[k])
		case classLD | sizeW | modeIND:
			at := uint64(x + k)
			if at+4 > uint64(len(data)) {
				return 0
			}
			a = binary.BigEndian.Uint32(data[at:])
		case classLD | sizeH | modeIND:
			at := uint64(x + k)
			if at+2 > uint64(len(data)) {
				return 0
			}
			a = uint32(binary.BigEndian.Uint16(data[at:]))
		case classLD | sizeB | modeIND:
			at := uint64(x + k)
			if at >= uint64(len(data)) {
				return 0
			}
			a = uint32(data[at])
		case classLDX | sizeB | modeMSH:
			if uint64(k) >= uint64(len(data)) {
				return 0
			}
			x = uint32(data[k]&0x0f) * 4
		case classLD | modeIMM:
			a = k
		case classLDX | modeIMM:
			x = k
		case classLD | modeLEN:
			a = uint32(wire)
		case classLDX | modeLEN:
			x = uint32(wire)
		case classLD | modeMEM:
			a = mem[k&15]
		case classLDX | modeMEM:
			x = mem[k&15]
		case classST:
			mem[k&15] = a
		case classSTX:
			mem[k&15] = x
		case classTAX:
			x = a
		case classTAX | txa:
			a = x
		case classRET:
			return k
		case classRET | retA:
			return a
		case classJMP | jmpJA:
			pc += int(k)
		case classALU | aluNeg:
			a = -a
		default:
			if in.Op&srcX != 0 {
				k = x
			}
			if in.Op&7 == classJMP {
				if jump(in.Op, a, k) {
					pc += int(in.Jt)
				} else {
					pc += int(in.Jf)
				}
				continue
			}
			if k == 0 && (in.Op&0xf0 == aluDiv || in.Op&0xf0 == aluMod) {
				return 0
			}
			a = alu(in.Op, a, k)
		}
	}
	return 0
}

func jump(op uint16, a, k uint32) bool {
	switch op & 0xf0 {
	case jmpEQ:
		return a == k
	case jmpGT:
		return a > k
	case jmpGE:
		return a >= k
	default:
		return a&k != 0
	}
}

func alu(op uint16, a, k uint32) uint32 {
	switch op & 0xf0 {
	case aluAdd:
		return a + k
	case aluSub:
		return a - k
	case aluMul:
		return a * k
	case aluDiv:
		return a / k
	case aluMod:
		return a % k
	case aluOr:
		return a | k
	case aluAnd:
		return a & k
	case aluXor:
		return a ^ k
	case aluLsh:
		return a << k
	default:
		return a >> k
	}
}

// Load reads a program as `tcpdump -ddd` prints it: the number of instructions, then a line `code jt jf k` for each.
func Load(r io.Reader) (*Program, error) {
	in := bufio.NewReader(io.LimitReader(r, 1<<20))
	var n int
	if _, err := fmt.Fscan(in, &n); err != nil {
		return nil, fmt.Errorf("BPF program: number of instructions: %w", err)
	}
	if n < 1 || n > maxInstructions {
		return nil, fmt.Errorf("BPF program: %d instructions, expected 1 to %d", n, maxInstructions)
	}
	code := make([]bpf.RawInstruction, n)
	for i := range code {
		c := &code[i]
		if _, err := fmt.Fscan(in, &c.Op, &c.Jt, &c.Jf, &c.K); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("BPF program: instruction %d: %w", i, err)
		}
	}
	var more string
	if _, err := fmt.Fscan(in, &more); err != io.EOF {
		return nil, fmt.Errorf("BPF program: unexpected %.20q after the last instruction", more)
	}
	return New(code)
}
