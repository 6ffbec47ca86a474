package cli

import (
	"flowtools/internal/cdate"
	"flowtools/internal/sym"
)

// Zone is the zone of local times, from TZ or the system. It is looked up once.
func (e *Env) Zone() *cdate.Zone {
	if e.zone == nil {
		tz, set := e.LookupEnv("TZ")
		e.zone = cdate.LoadZone(tz, set)
	}
	return e.zone
}

// Config is the path of a default file named relative to SYSCONFDIR: "cfg/filter.cfg", "sym/asn.sym". There need not be
// such a file; the path is then the one to name in a message.
func (e *Env) Config(rel string) string {
	path, _ := sym.Sysconf(e.LookupEnv, rel)
	return path
}

// ConfigFile is the path of a configuration file: the name that the user gave, or the default file rel (see Config) when it is "".
func (e *Env) ConfigFile(name, rel string) string {
	if name == "" {
		return e.Config(rel)
	}
	return e.Path(name)
}

// Symbols is the symbol table of a name (sym.TCPPort, ...), for the tools that print names. A table that cannot be read is
// reported and empty: its values stay numbers.
func (e *Env) Symbols(name string) *sym.Table {
	t, err := sym.Open(e.LookupEnv, name)
	if err != nil {
		e.WarnError(err)
	}
	return t
}
