package print

import (
	"strconv"

	"flowtools/internal/cdate"
	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// labelWidth is the width of the labels of the header lines: values start behind
// the comment character, a blank and a label.
const labelWidth = 22

// dateFormat is the time of header lines, RFC 822 with a four digit year.
const dateFormat = "%a, %d %b %Y %H:%M:%S %z"

// lines collects the header lines.
type lines struct {
	buf     []byte
	comment byte
}

// label starts a line and leaves the value to its caller, who ends it.
func (w *lines) label(text string) {
	w.buf = append(w.buf, w.comment, ' ')
	w.buf = clib.AppendString(w.buf, text, labelWidth, len(text))
}

func (w *lines) text(label, value string) {
	w.label(label)
	w.buf = append(append(w.buf, value...), '\n')
}

func (w *lines) number(label string, v uint32) {
	w.label(label)
	w.buf = append(strconv.AppendUint(w.buf, uint64(v), 10), '\n')
}

// bare writes a line of the comment character alone.
func (w *lines) bare() { w.buf = append(w.buf, w.comment, '\n') }

// AppendHeader appends the lines that describe the header of a stream, as
// flow-header shows it; each starts with comment. Times are shown in zone z.
func AppendHeader(dst []byte, h *ftfile.Header, comment byte, z *cdate.Zone) []byte {
	w := &lines{buf: dst, comment: comment}
	streaming := h.Flags&ftfile.FlagStreaming != 0
	known := !streaming || h.Flags&ftfile.FlagPreloaded != 0              // times and counts mean something
	final := known && h.Flags&(ftfile.FlagDone|ftfile.FlagPreloaded) != 0 // and will not change
	number := func(label string, t ftfile.Tag, v uint32, when bool) {
		if when && h.Has(t) {
			w.number(label, v)
		}
	}
	date := func(label string, t ftfile.Tag, sec uint32, when bool) {
		if when && h.Has(t) {
			w.label(label)
			t := z.Civil(int64(sec))
			w.buf = append(cdate.AppendStrftime(w.buf, dateFormat, &t), '\n')
		}
	}

	w.bare()
	if streaming {
		w.text("mode:", "streaming")
	} else {
		w.text("mode:", "normal")
	}
	if h.Flags&ftfile.FlagXlate != 0 {
		w.text("translated:", "yes")
	}
	if !streaming && h.Has(ftfile.TagHostname) {
		w.text("capture hostname:", h.Hostname)
	}
	if !streaming && h.Has(ftfile.TagExporter) {
		w.label("exporter IP address:")
		w.buf = append(clib.AppendIPv4(w.buf, h.Exporter), '\n')
	}
	date("capture start:", ftfile.TagStart, h.Start, known)
	date("capture end:", ftfile.TagEnd, h.End, final)
	if final && h.Has(ftfile.TagStart) && h.Has(ftfile.TagEnd) {
		w.label("capture period:")
		w.buf = append(strconv.AppendUint(w.buf, uint64(h.End-h.Start), 10), " seconds\n"...)
	}
	if h.Flags&ftfile.FlagCompress != 0 {
		w.text("compress:", "on")
	} else {
		w.text("compress:", "off")
	}
	switch flow.Order(h.OrderByte) {
	case flow.LittleEndian, flow.BigEndian:
		w.text("byte order:", h.Order().String())
	default:
		w.text("byte order:", "BROKEN")
	}
	w.number("stream version:", uint32(h.Stream))
	number("export version:", ftfile.TagVersion, uint32(h.Version.Export), true)
	if v := h.Version; v.Export == 8 && h.Has(ftfile.TagAggVersion) && h.Has(ftfile.TagAggMethod) {
		w.number("export agg_version:", uint32(h.AggVersion))
		w.label("export agg_method:")
		w.buf = strconv.AppendUint(w.buf, uint64(v.Agg), 10)
		w.buf = append(append(append(w.buf, " ("...), flow.AggName(v.Agg)...), ")\n"...)
	}
	number("lost flows:", ftfile.TagLost, h.Lost, known)
	number("misordered flows:", ftfile.TagMisordered, h.Misordered, known)
	number("corrupt packets:", ftfile.TagCorrupt, h.Corrupt, known)
	number("sequencer resets:", ftfile.TagResets, h.Resets, known)
	if h.Has(ftfile.TagComments) {
		w.text("comments:", h.Comments)
	}
	number("capture flows:", ftfile.TagFlows, h.Flows, final)
	if known && !final {
		w.buf = append(append(w.buf, comment), " note, incomplete flow file\n"...)
	}
	w.interfaces(h)
	w.bare()
	return w.buf
}

// interfaces writes the interface names and aliases, the last of the header first.
func (w *lines) interfaces(h *ftfile.Header) {
	entry := func(kind string, addr uint32, name string, indexes ...uint16) {
		w.buf = append(append(append(w.buf, w.comment, ' '), kind...), ' ')
		w.buf = append(clib.AppendIPv4(w.buf, addr), ' ')
		for _, i := range indexes {
			w.buf = append(strconv.AppendUint(w.buf, uint64(i), 10), ' ')
		}
		w.buf = append(append(w.buf, name...), '\n')
	}
	if h.Has(ftfile.TagIfName) {
		w.bare()
	}
	for i := len(h.IfNames) - 1; i >= 0; i-- {
		n := &h.IfNames[i]
		entry("ifname", n.Addr, n.Name, n.Index)
	}
	if h.Has(ftfile.TagIfAlias) {
		w.bare()
	}
	for i := len(h.IfAliases) - 1; i >= 0; i-- {
		a := &h.IfAliases[i]
		entry("ifalias", a.Addr, a.Name, a.Indexes...)
	}
}

// CommentFlag is -c of the tools that print comment lines.
func CommentFlag(p *byte) cli.Flag {
	return cli.Func('c', "comment-char", "char", func(s string) error {
		// Compat: the first octet counts, and an empty value makes it a NUL.
		*p = 0
		if s != "" {
			*p = s[0]
		}
		return nil
	}, "character that comment lines start with (default #)")
}
