package capture

import "os"

// Hostname is the name of this host for headers, "" if it has none.
func Hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}
