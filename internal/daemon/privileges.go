package daemon

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Identity is the user that a process becomes.
type Identity struct {
	Name     string
	UID, GID int
}

// LookupUser finds a user by name or number. It has to happen before Chroot.
func LookupUser(name string) (Identity, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return Identity{}, fmt.Errorf("getpwnam(%s): Unknown user", name)
		}
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		return Identity{}, fmt.Errorf("getpwnam(%s): user %s, group %s", name, u.Uid, u.Gid)
	}
	return Identity{name, uid, gid}, nil
}

// Become drops to the user and its group, without supplementary groups and for
// good, in all threads of the process.
func (id Identity) Become() error {
	if err := syscall.Setgroups([]int{id.GID}); err != nil {
		return fmt.Errorf("setgroups(): %w", err)
	}
	if err := syscall.Setgid(id.GID); err != nil {
		return fmt.Errorf("setgid(%d): %w", id.GID, err)
	}
	if err := syscall.Setuid(id.UID); err != nil {
		return fmt.Errorf("setuid(%d): %w", id.UID, err)
	}
	if id.UID != 0 && syscall.Setuid(0) == nil {
		return fmt.Errorf("setuid(%d): privileges could be regained", id.UID)
	}
	return nil
}

// Chroot confines the process to a directory. What it needs from outside (log
// socket, user names) has to be open or looked up before.
func Chroot(dir string) error {
	if err := syscall.Chroot(dir); err != nil {
		return fmt.Errorf("chroot(%s): %w", dir, err)
	}
	return os.Chdir("/")
}
