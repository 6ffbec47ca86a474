package ftfile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// depthLimit is how many levels of directories are entered, the first included.
const depthLimit = 50

// Entry is a flow file found on disk.
type Entry struct {
	Path   string
	Size   int64 // octets of the file itself
	Header *Header
}

// ErrDepth is returned by Scan for directories nested deeper than 50 levels.
var ErrDepth = errors.New("Limit of 50 nested directories reached.")

// Scanner finds flow files. The zero Scanner skips files being written.
type Scanner struct {
	Open    bool              // also take names beginning with "tmp"
	Capture bool              // only names that IsCapture, whether open or not
	Lenient bool              // a symbolic link that leads nowhere is a warning
	Warn    func(text string) // told of everything that is passed over with a reason; may be nil
}

func (s *Scanner) warn(format string, args ...any) {
	if s.Warn != nil {
		s.Warn(fmt.Sprintf(format, args...))
	}
}

// Scan returns the flow files in dir and below, in ascending order of capture
// start; equal starts come in the order of names, what is in a directory in its
// place. Files without a readable header are passed over. The error is that of
// reading or entering a directory, of a symbolic link that leads nowhere, or
// ErrDepth; entries found before it are returned with it.
func (s *Scanner) Scan(dir string) ([]Entry, error) {
	var found []Entry
	err := s.walk(dir, 1, &found)
	SortEntries(found)
	return found, err
}

// SortEntries sorts by capture start, absent as 0; equal starts keep their order.
func SortEntries(entries []Entry) {
	slices.SortStableFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Header.Start, b.Header.Start) })
}

func (s *Scanner) walk(dir string, depth int, found *[]Entry) error {
	if depth > depthLimit {
		return ErrDepth
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("open(%s): %w", dir, Reason(err))
	}
	// A directory may let its names be read and nothing else be done.
	if _, err := os.Stat(dir + "/."); err != nil {
		return fmt.Errorf("chdir(%s): %w", dir, Reason(err))
	}
	for _, entry := range names {
		name := entry.Name()
		// Compat: every two-character name with a dot second is skipped, as ".." is.
		if name == "." || len(name) == 2 && name[1] == '.' || strings.HasPrefix(name, PrefixPrivate) {
			continue
		}
		path := dir + "/" + name // exactly as given: "w/" makes "w//ft-..."
		info, err := os.Stat(path)
		if err != nil {
			if s.Lenient {
				s.warn("stat(%s): %v", path, Reason(err))
				continue
			}
			return fmt.Errorf("stat(%s): %w", path, Reason(err))
		}
		switch {
		case info.IsDir():
			if err := s.walk(path, depth+1, found); err != nil {
				return err
			}
		case !info.Mode().IsRegular():
			s.warn("not plain, skipping: %s", name)
		default:
			s.file(path, name, info, found)
		}
	}
	return nil
}

func (s *Scanner) file(path, name string, info fs.FileInfo, found *[]Entry) {
	switch {
	case s.Capture && !IsCapture(name):
		s.warn("ignoring: %s", name)
		return
	case !s.Capture && !s.Open && strings.HasPrefix(name, PrefixOpen):
		return
	}
	shown := path
	if s.Capture {
		shown = name // as in the messages above
	}
	h, err := s.header(path, shown)
	if err != nil {
		return
	}
	*found = append(*found, Entry{Path: path, Size: info.Size(), Header: h})
}

// File returns the entry of one file, warning when it cannot be read.
func (s *Scanner) File(path string) (Entry, error) {
	info, err := os.Stat(path)
	if err != nil {
		s.warn("open(%s): %v", path, Reason(err))
		return Entry{}, err
	}
	h, err := s.header(path, path)
	if err != nil {
		return Entry{}, err
	}
	return Entry{Path: path, Size: info.Size(), Header: h}, nil
}

func (s *Scanner) header(path, shown string) (*Header, error) {
	f, err := os.Open(path)
	if err != nil {
		s.warn("open(%s): %v", shown, Reason(err))
		return nil, err
	}
	defer f.Close()
	h, err := ReadHeader(f)
	if err != nil {
		s.warn("%v", err)
		s.warn("ftiheader_read(%s): Failed, ignoring file.", shown)
	}
	return h, err
}

// Reason strips the operation and path from a file error, leaving the system's
// text, so that messages read open(NAME): REASON.
func Reason(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
