package pcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Live is one packet socket with a TPACKET_V3 ring. Its methods are for one goroutine; Stats may be called from any.
//
// gopacket's afpacket is not used: it does not hand out the packet type, hardware type and protocol of the link layer address
// that direction, loopback and the cooked `any` need, and it delivers packets from before the filter is attached.
type Live struct {
	name    string
	index   int
	link    LinkType
	fd      int
	ring    []byte
	blocks  int
	current int    // block being read
	left    uint32 // packets left in it
	at      int    // offset of the next packet in the ring
	held    bool   // the current block is ours
	both    bool

	received, dropped, freezes atomic.Uint64
}

const (
	blockSize = 64 << 10
	frameSize = 2048 // only a unit of account in TPACKET_V3
	retireMs  = 100  // an unfilled block is handed over after this time: with the default ring a reader may stall 12 s
	headroom  = 32   // before each packet, for the tag the kernel stripped and the cooked header

	// struct tpacket_block_desc and struct tpacket3_hdr of linux/if_packet.h.
	blockStatus = 8
	blockCount  = 12
	blockFirst  = 16
	pktNext     = 0
	pktSec      = 4
	pktNsec     = 8
	pktSnap     = 12
	pktLen      = 16
	pktStatus   = 20
	pktMac      = 24
	pktTCI      = 32
	pktTPID     = 36
	pktAddr     = 48 // struct sockaddr_ll follows
	addrProto   = pktAddr + 2
	addrIndex   = pktAddr + 4
	addrType    = pktAddr + 8
	addrPkt     = pktAddr + 10
	addrHalen   = pktAddr + 11
	addrAddr    = pktAddr + 12

	sllSize = 16
	tagSize = 4
	macPair = 12
)

var native = binary.NativeEndian

// hardware types (ARPHRD_) that deliver frames of a link type as they are; all others are read cooked.
var rawHardware = map[int]LinkType{
	unix.ARPHRD_ETHER:              Ethernet,
	unix.ARPHRD_LOOPBACK:           Ethernet,
	unix.ARPHRD_IEEE80211:          Wifi,
	unix.ARPHRD_IEEE80211_RADIOTAP: Radiotap,
}

// DefaultInterface returns the first interface that is up and not a loopback, or else the loopback.
func DefaultInterface() (string, error) {
	list, err := net.Interfaces()
	if err != nil {
		return "", err
	}
	last := ""
	for _, i := range list {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		if i.Flags&net.FlagLoopback == 0 {
			return i.Name, nil
		}
		last = i.Name
	}
	if last == "" {
		return "", errors.New("no usable interface found")
	}
	return last, nil
}

// OpenLive opens a capture that receives nothing yet: see Start.
func OpenLive(c Config) (*Live, error) {
	l := &Live{name: c.Interface, fd: -1, link: LinuxSLL, both: c.Outgoing}
	kind := unix.SOCK_DGRAM
	if c.Interface != Any {
		i, err := net.InterfaceByName(c.Interface)
		if err != nil {
			return nil, fmt.Errorf("%s: no such interface", c.Interface)
		}
		l.index = i.Index
		hardware, err := hardwareType(c.Interface)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Interface, err)
		}
		if t, ok := rawHardware[hardware]; ok {
			l.link, kind = t, unix.SOCK_RAW
		}
	}
	// Protocol 0: nothing arrives before Start binds the socket with its filter in place.
	fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	l.fd = fd
	if err := l.setUp(c); err != nil {
		l.Close()
		return nil, fmt.Errorf("%s: %w", c.Interface, err)
	}
	return l, nil
}

func (l *Live) setUp(c Config) error {
	set := func(name string, option, value int) error {
		return os.NewSyscallError("setsockopt "+name, unix.SetsockoptInt(l.fd, unix.SOL_PACKET, option, value))
	}
	if err := set("PACKET_VERSION", unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return err
	}
	if err := set("PACKET_RESERVE", unix.PACKET_RESERVE, headroom); err != nil {
		return err
	}
	ring := c.Ring
	if ring <= 0 {
		ring = DefaultRing
	}
	size := blockSize
	for size > os.Getpagesize() && ring/size < 4 {
		size /= 2
	}
	l.blocks = max(ring/size, 2)
	req := unix.TpacketReq3{
		Block_size: uint32(size), Block_nr: uint32(l.blocks),
		Frame_size: frameSize, Frame_nr: uint32(size / frameSize * l.blocks),
		Retire_blk_tov: retireMs,
	}
	if err := unix.SetsockoptTpacketReq3(l.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return os.NewSyscallError("setsockopt PACKET_RX_RING", err)
	}
	mem, err := unix.Mmap(l.fd, 0, size*l.blocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	l.ring = mem
	if c.Promiscuous && l.index != 0 {
		m := unix.PacketMreq{Ifindex: int32(l.index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(l.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return os.NewSyscallError("setsockopt PACKET_ADD_MEMBERSHIP", err)
		}
	}
	return nil
}

func hardwareType(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, ifr); err != nil {
		return 0, os.NewSyscallError("ioctl SIOCGIFHWADDR", err)
	}
	return int(ifr.Uint16()), nil
}

// Name returns the interface's name.
func (l *Live) Name() string { return l.name }

// Link returns the link type of the frames that Next delivers; cooked captures deliver LinuxSLL.
func (l *Live) Link() LinkType { return l.link }

// Start attaches the filter (nil: everything) and begins to receive. Frames are cut to snap octets, 0 meaning whole packets;
// a filter of its own must return the snap length.
func (l *Live) Start(filter []bpf.RawInstruction, snap int) error {
	if len(filter) == 0 {
		if snap <= 0 {
			snap = MaxSnap
		}
		filter = acceptAll(snap)
	}
	code := make([]unix.SockFilter, len(filter))
	for i, f := range filter {
		code[i] = unix.SockFilter{Code: f.Op, Jt: f.Jt, Jf: f.Jf, K: f.K}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if err := unix.SetsockoptSockFprog(l.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("%s: %w", l.name, os.NewSyscallError("setsockopt SO_ATTACH_FILTER", err))
	}
	addr := &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: l.index}
	if err := unix.Bind(l.fd, addr); err != nil {
		return fmt.Errorf("%s: %w", l.name, os.NewSyscallError("bind", err))
	}
	return nil
}

func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return native.Uint16(b[:])
}

func (l *Live) status(block int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&l.ring[block*l.blockLen()+blockStatus]))
}

func (l *Live) blockLen() int { return len(l.ring) / l.blocks }

// ready reports whether a block waits to be read.
func (l *Live) ready() bool { return l.held || l.status(l.current).Load()&unix.TP_STATUS_USER != 0 }

// Next takes the next packet out of the ring, without waiting: false when there is none. p.Data lies in the ring and is given
// back to the kernel by a later Next.
func (l *Live) Next(p *Packet) bool {
	for {
		for l.left > 0 {
			l.left--
			if l.take(p) {
				return true
			}
		}
		if l.held {
			l.status(l.current).Store(unix.TP_STATUS_KERNEL)
			l.held = false
			l.current = (l.current + 1) % l.blocks
		}
		if l.ring == nil || !l.ready() {
			return false
		}
		base := l.current * l.blockLen()
		l.held = true
		l.left = native.Uint32(l.ring[base+blockCount:])
		l.at = base + int(native.Uint32(l.ring[base+blockFirst:]))
	}
}

// take describes the packet at l.at and steps over it; false when it does not count.
func (l *Live) take(p *Packet) bool {
	h := l.ring[l.at:]
	mac := int(native.Uint16(h[pktMac:]))
	snap := int(native.Uint32(h[pktSnap:]))
	p.Time = int64(native.Uint32(h[pktSec:]))*1e9 + int64(native.Uint32(h[pktNsec:]))
	p.Len = int(native.Uint32(h[pktLen:]))
	p.Link = l.link
	p.IfIndex = native.Uint32(h[addrIndex:])
	if p.Dir = In; h[addrPkt] == pktOutgoing {
		p.Dir = Out
	}
	if next := native.Uint32(h[pktNext:]); next != 0 {
		l.at += int(next)
	} else {
		l.left = 0
	}
	hardware := native.Uint16(h[addrType:])
	if p.Dir == Out && hardware == unix.ARPHRD_LOOPBACK && !l.both {
		return false // it comes in again
	}
	status := native.Uint32(h[pktStatus:])
	tagged := status&unix.TP_STATUS_VLAN_VALID != 0
	tpid := uint16(unix.ETH_P_8021Q)
	if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		tpid = native.Uint16(h[pktTPID:])
	}
	// What the kernel took off is put back in front, into the room reserved there.
	start := mac
	switch {
	case l.link == LinuxSLL:
		proto := binary.BigEndian.Uint16(h[addrProto:])
		if tagged {
			start -= tagSize
			binary.BigEndian.PutUint16(h[start:], uint16(native.Uint32(h[pktTCI:])))
			binary.BigEndian.PutUint16(h[start+2:], proto)
			proto = tpid
		}
		start -= sllSize
		sll := h[start : start+sllSize]
		binary.BigEndian.PutUint16(sll, uint16(h[addrPkt]))
		binary.BigEndian.PutUint16(sll[2:], hardware)
		binary.BigEndian.PutUint16(sll[4:], uint16(h[addrHalen]))
		copy(sll[6:14], h[addrAddr:addrAddr+8])
		binary.BigEndian.PutUint16(sll[14:], proto)
	case tagged && l.link == Ethernet && snap >= macPair:
		start -= tagSize
		copy(h[start:start+macPair], h[mac:])
		binary.BigEndian.PutUint16(h[start+macPair:], tpid)
		binary.BigEndian.PutUint16(h[start+macPair+2:], uint16(native.Uint32(h[pktTCI:])))
	}
	p.Data = h[start : mac+snap : mac+snap]
	p.Len += mac - start
	return true
}

// Stats returns the kernel's counters. Reading them resets them in the kernel; the sums are kept here.
func (l *Live) Stats() (Stats, error) {
	var err error
	if l.fd >= 0 {
		var s *unix.TpacketStatsV3
		if s, err = unix.GetsockoptTpacketStatsV3(l.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			l.received.Add(uint64(s.Packets))
			l.dropped.Add(uint64(s.Drops))
			l.freezes.Add(uint64(s.Freeze_q_cnt))
		}
	}
	return Stats{l.received.Load(), l.dropped.Load(), l.freezes.Load()}, os.NewSyscallError("getsockopt PACKET_STATISTICS", err)
}

// Close ends the capture.
func (l *Live) Close() {
	if l.ring != nil {
		unix.Munmap(l.ring)
		l.ring = nil
	}
	if l.fd >= 0 {
		unix.Close(l.fd)
		l.fd = -1
	}
	l.left, l.held = 0, false
}

// Wait returns when one of the captures has packets or after the timeout. An error is that of an interface that is gone for
// good; one that is only down may come back.
func Wait(captures []*Live, timeout time.Duration) error {
	var few [8]unix.PollFd
	fds := few[:0]
	for _, l := range captures {
		if l.ready() {
			return nil
		}
		fds = append(fds, unix.PollFd{Fd: int32(l.fd), Events: unix.POLLIN | unix.POLLERR})
	}
	n, err := unix.Poll(fds, max(int(timeout/time.Millisecond), 1))
	if err == unix.EINTR || n == 0 {
		return nil
	}
	if err != nil {
		return os.NewSyscallError("poll", err)
	}
	var gone []error
	for i, l := range captures {
		if fds[i].Revents&(unix.POLLERR|unix.POLLNVAL) == 0 {
			continue
		}
		code, err := unix.GetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			return os.NewSyscallError("getsockopt SO_ERROR", err)
		}
		if l.index != 0 {
			if _, err := net.InterfaceByIndex(l.index); err != nil {
				gone = append(gone, fmt.Errorf("%s: interface disappeared: %w", l.name, unix.Errno(code)))
			}
		}
	}
	return errors.Join(gone...)
}
