//go:build !linux

package testdb

import "syscall"

func dieWithParent(*syscall.SysProcAttr) {}
