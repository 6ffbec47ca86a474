package xlate

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// KeySize is the size of an anonymization key in octets: an AES-128 key and the
// block that its padding is made from.
const KeySize = 32

// Anonymizer replaces IPv4 addresses one to one so that addresses with a common
// prefix keep one of the same length: Crypto-PAn with AES-128. An Anonymizer is
// for one goroutine.
type Anonymizer struct {
	block cipher.Block
	pad   [aes.BlockSize]byte
	in    [aes.BlockSize]byte // here, not on the stack: Encrypt is an interface's
	out   [aes.BlockSize]byte
	known []known  // by a hash of the address
	high  []uint32 // by the first 16 bits of an address: how they flip; bit 0 says known
}

// known is an address met before. Traffic repeats itself, and a full
// computation takes 32 encryptions.
type known struct {
	addr, anon uint32
	set        bool
}

// cacheBits is the binary logarithm of the number of addresses remembered.
const cacheBits = 14

// NewAnonymizer returns the anonymizer of a key.
func NewAnonymizer(key [KeySize]byte) *Anonymizer {
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		panic(err) // 16 octets are a key
	}
	a := &Anonymizer{block: block, known: make([]known, 1<<cacheBits), high: make([]uint32, 1<<16)}
	block.Encrypt(a.pad[:], key[16:])
	return a
}

// Addr returns the replacement of addr.
func (a *Anonymizer) Addr(addr uint32) uint32 {
	k := &a.known[addr*0x9e3779b1>>(32-cacheBits)]
	if !k.set || k.addr != addr {
		*k = known{addr, a.compute(addr), true}
	}
	return k.anon
}

func (a *Anonymizer) compute(addr uint32) uint32 {
	h := &a.high[addr>>16]
	if *h == 0 {
		*h = a.flips(addr, 0, 16) | 1
	}
	return addr ^ *h&^1 ^ a.flips(addr, 16, 32)
}

// flips returns the bits of addr to change among from to to, 0 being the first:
// bit p is the first bit of the encryption of the pad whose first p bits are
// those of addr.
func (a *Anonymizer) flips(addr uint32, from, to int) (flip uint32) {
	pad := binary.BigEndian.Uint32(a.pad[:])
	copy(a.in[:], a.pad[:])
	for p := from; p < to; p++ {
		prefix := ^(^uint32(0) >> p)
		binary.BigEndian.PutUint32(a.in[:], addr&prefix|pad&^prefix)
		a.block.Encrypt(a.out[:], a.in[:])
		flip |= uint32(a.out[0]>>7) << (31 - p)
	}
	return flip
}
