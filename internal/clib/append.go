package clib

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
)

const hexDigits = "0123456789abcdef"

// octetText has the octets with a dot behind, four bytes each; octetLen is how
// many of the four count. Constants, so that no start-up time goes into a table.
const octetText = "" +
	"0.  1.  2.  3.  4.  5.  6.  7.  8.  9.  10. 11. 12. 13. 14. 15. " +
	"16. 17. 18. 19. 20. 21. 22. 23. 24. 25. 26. 27. 28. 29. 30. 31. " +
	"32. 33. 34. 35. 36. 37. 38. 39. 40. 41. 42. 43. 44. 45. 46. 47. " +
	"48. 49. 50. 51. 52. 53. 54. 55. 56. 57. 58. 59. 60. 61. 62. 63. " +
	"64. 65. 66. 67. 68. 69. 70. 71. 72. 73. 74. 75. 76. 77. 78. 79. " +
	"80. 81. 82. 83. 84. 85. 86. 87. 88. 89. 90. 91. 92. 93. 94. 95. " +
	"96. 97. 98. 99. 100.101.102.103.104.105.106.107.108.109.110.111." +
	"112.113.114.115.116.117.118.119.120.121.122.123.124.125.126.127." +
	"128.129.130.131.132.133.134.135.136.137.138.139.140.141.142.143." +
	"144.145.146.147.148.149.150.151.152.153.154.155.156.157.158.159." +
	"160.161.162.163.164.165.166.167.168.169.170.171.172.173.174.175." +
	"176.177.178.179.180.181.182.183.184.185.186.187.188.189.190.191." +
	"192.193.194.195.196.197.198.199.200.201.202.203.204.205.206.207." +
	"208.209.210.211.212.213.214.215.216.217.218.219.220.221.222.223." +
	"224.225.226.227.228.229.230.231.232.233.234.235.236.237.238.239." +
	"240.241.242.243.244.245.246.247.248.249.250.251.252.253.254.255."
const octetLen = "" +
	"22222222223333333333333333333333333333333333333333333333333333333333333333333333333333333333333333334444444444444444444444444444" +
	"44444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444444"

// putOctet writes o and a dot into b, which has room for four bytes, and returns
// the bytes that count.
func putOctet(b []byte, o byte) int {
	i := 4 * int(o)
	binary.LittleEndian.PutUint32(b, uint32(octetText[i])|uint32(octetText[i+1])<<8|
		uint32(octetText[i+2])<<16|uint32(octetText[i+3])<<24)
	return int(octetLen[o] & 7)
}

// addrRoom is what the longest prefix takes, and what putOctet may write behind it.
const addrRoom = len("255.255.255.255/32") + 4

// AppendIPv4 appends the dotted quad of a (first octet in the high bits). Like
// AppendPrefix it may also change a few bytes of dst's capacity behind the result.
func AppendIPv4(dst []byte, a uint32) []byte {
	dst = slices.Grow(dst, addrRoom)
	n := len(dst)
	b := dst[n : n+addrRoom]
	i := putOctet(b, byte(a>>24))
	i += putOctet(b[i:], byte(a>>16))
	i += putOctet(b[i:], byte(a>>8))
	i += putOctet(b[i:], byte(a))
	return dst[:n+i-1]
}

// AppendPrefix appends a as ADDR/LEN with its trailing zero octets left out (the
// first always stays): 10.0.5.0 and 24 give 10.0.5/24. The address is not
// masked.
//
// Compat: a mask length above 32 prints as 0.
func AppendPrefix(dst []byte, a uint32, masklen uint8) []byte {
	dst = slices.Grow(dst, addrRoom)
	n := len(dst)
	b := dst[n : n+addrRoom]
	i := putOctet(b, byte(a>>24))
	for a <<= 8; a != 0; a <<= 8 {
		i += putOctet(b[i:], byte(a>>24))
	}
	b[i-1] = '/'
	if masklen > 32 {
		masklen = 0
	}
	i += putOctet(b[i:], masklen)
	return dst[:n+i-1]
}

const blanks = "                                                                "

func appendBlanks(dst []byte, n int) []byte {
	for n > len(blanks) {
		dst = append(dst, blanks...)
		n -= len(blanks)
	}
	if n > 0 {
		dst = append(dst, blanks[:n]...)
	}
	return dst
}

// Pad fills dst[start:] with blanks on the right to width bytes: %-Ws round
// whatever was appended since start.
func Pad(dst []byte, start, width int) []byte {
	return appendBlanks(dst, width-(len(dst)-start))
}

// PadCut is Pad after cutting dst[start:] to cut bytes: %-W.Cs.
func PadCut(dst []byte, start, width, cut int) []byte {
	if len(dst)-start > cut {
		dst = dst[:start+cut]
	}
	return Pad(dst, start, width)
}

// Right moves dst[start:] to the right end of width bytes: %Ws.
func Right(dst []byte, start, width int) []byte {
	return right(dst, start, width, ' ')
}

func right(dst []byte, start, width int, fill byte) []byte {
	n := len(dst) - start
	gap := width - n
	if gap <= 0 {
		return dst
	}
	dst = appendBlanks(dst, gap)
	copy(dst[start+gap:], dst[start:start+n])
	for i := start; i < start+gap; i++ {
		dst[i] = fill
	}
	return dst
}

// AppendString is %-W.Cs: s cut to cut bytes and padded on the right to width.
func AppendString(dst []byte, s string, width, cut int) []byte {
	if len(s) > cut {
		s = s[:cut]
	}
	return appendBlanks(append(dst, s...), width-len(s))
}

// AppendUint is %-Wu: decimal, padded with blanks on the right, never cut.
func AppendUint(dst []byte, v uint64, width int) []byte {
	start := len(dst)
	return Pad(strconv.AppendUint(dst, v, 10), start, width)
}

// AppendUintRight is %Wu: decimal, padded with blanks on the left.
func AppendUintRight(dst []byte, v uint64, width int) []byte {
	return appendDigits(dst, v, width, ' ')
}

// AppendUintZero is %0Wu: decimal, padded with zeros on the left.
func AppendUintZero(dst []byte, v uint64, width int) []byte {
	return appendDigits(dst, v, width, '0')
}

func appendDigits(dst []byte, v uint64, width int, fill byte) []byte {
	if v < 100 && width == 2 { // the fields of dates and times
		if v < 10 {
			return append(dst, fill, byte('0'+v))
		}
		return append(dst, byte('0'+v/10), byte('0'+v%10))
	}
	start := len(dst)
	return right(strconv.AppendUint(dst, v, 10), start, width, fill)
}

// AppendHex is %0Wx: lower-case hexadecimal with zeros on the left to width
// digits (width 0 or 1: none).
func AppendHex(dst []byte, v uint64, width int) []byte {
	n := 1
	for x := v >> 4; x != 0; x >>= 4 {
		n++
	}
	for n = max(n, width); n > 0; n-- {
		d := byte('0')
		if n <= 16 {
			d = hexDigits[v>>(4*(n-1))&15]
		}
		dst = append(dst, d)
	}
	return dst
}

// AppendF is %.*f: f with prec digits behind the point, inf and -inf.
//
// Compat: every NaN prints as -nan, which is what 0/0 gives on the x86 machines
// whose output is the standard; the sign of a computed NaN differs elsewhere.
func AppendF(dst []byte, f float64, prec int) []byte {
	switch {
	case f != f:
		return append(dst, "-nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	}
	return strconv.AppendFloat(dst, f, 'f', prec, 64)
}
