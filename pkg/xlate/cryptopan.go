package xlate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"flowtools/internal/cdate"
	"flowtools/internal/config"
)

// cryptopan is the configuration of an anonymizing action.
type cryptopan struct {
	pos       config.Pos // of the action
	algorithm bool       // named
	key       [KeySize]byte
	keyFile   string // "" for none
	minutes   int64  // between readings of the key file, 0 for never again
	at        *int64 // seconds after local midnight of the first one
}

// maxMinutes is a century: longer intervals do not fit a time.Duration.
const maxMinutes = 100 * 365 * 24 * 60

// check returns an error for a configuration that cannot work.
func (c *cryptopan) check(name string) error {
	switch {
	case !c.algorithm:
		return c.pos.Errorf("xlate-action %q has no algorithm. Expecting algorithm cryptopan-aes128.", name)
	case c.key == [KeySize]byte{}:
		return c.pos.Errorf("xlate-action %q has no key. Expecting key or key-file, and not all zeros.", name)
	}
	return nil
}

// parseKey reads up to 64 hexadecimal digits, aligned to the right.
func parseKey(digits string) (key [KeySize]byte, err error) {
	if len(digits) > 2*KeySize {
		return key, fmt.Errorf("a key of %d digits, expecting at most %d", len(digits), 2*KeySize)
	}
	for i := range len(digits) {
		var d byte
		switch c := digits[i]; {
		case '0' <= c && c <= '9':
			d = c - '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			d = c | 0x20 - 'a' + 10
		default:
			return [KeySize]byte{}, fmt.Errorf("%q in a key, expecting hexadecimal digits", c)
		}
		nibble := 2*KeySize - len(digits) + i
		key[nibble/2] |= d << (4 * (1 - nibble&1))
	}
	return key, nil
}

// readKey reads the key in the first 64 characters of a file.
func readKey(path string) (key [KeySize]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return key, err
	}
	defer f.Close()
	var digits [2 * KeySize]byte
	n, err := io.ReadFull(f, digits[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return key, err
	}
	key, err = parseKey(string(digits[:n]))
	if err != nil {
		return key, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// replacer anonymizes with the key of the hour.
type replacer struct {
	*Anonymizer
	conf *cryptopan
	opt  *Options
	next time.Time // when the key file is read again; zero: never
}

func (c *cryptopan) start(opt *Options) *replacer {
	r := &replacer{Anonymizer: NewAnonymizer(c.key), conf: c, opt: opt}
	if c.minutes != 0 && c.keyFile != "" {
		r.next = c.first(opt.now(), cdate.LoadZone(opt.lookupEnv("TZ")))
	}
	return r
}

// first returns when the key file is read again for the first time: at the local
// time given, tomorrow if that has passed today; else at the next multiple of
// the interval within the hour.
func (c *cryptopan) first(now time.Time, zone *cdate.Zone) time.Time {
	sec := now.Unix()
	off, _, _ := zone.Offset(sec)
	local := sec + int64(off)
	clock := (local%86400 + 86400) % 86400
	if c.at == nil {
		minute := clock / 60 % 60
		return time.Unix(sec-clock%60+(c.minutes-minute%c.minutes)*60, 0)
	}
	wait := *c.at - clock
	for wait <= 0 {
		wait += 86400
	}
	return time.Unix(sec+wait, 0)
}

// current returns the anonymizer, with the key file read again when it is time.
// A file that cannot be read keeps the old key.
func (r *replacer) current() *Anonymizer {
	if r.next.IsZero() {
		return r.Anonymizer
	}
	now := r.opt.now()
	if now.Before(r.next) {
		return r.Anonymizer
	}
	interval := time.Duration(r.conf.minutes) * time.Minute
	r.next = r.next.Add((now.Sub(r.next)/interval + 1) * interval)
	key, err := readKey(r.conf.keyFile)
	if err == nil && key == [KeySize]byte{} {
		err = fmt.Errorf("%s: the key is 0", r.conf.keyFile)
	}
	if err != nil {
		r.opt.warn(fmt.Errorf("key file not read again, the old key stays: %w", err))
		return r.Anonymizer
	}
	r.opt.warn(fmt.Errorf("key file %s read again", r.conf.keyFile))
	r.Anonymizer = NewAnonymizer(key)
	return r.Anonymizer
}
