package cli

import "flowtools/internal/cdate"

// Zone is the zone of local times, from TZ or the system. It is looked up once.
func (e *Env) Zone() *cdate.Zone {
	if e.zone == nil {
		tz, set := e.LookupEnv("TZ")
		e.zone = cdate.LoadZone(tz, set)
	}
	return e.zone
}
