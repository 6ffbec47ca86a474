//go:build !linux

package fprobe

import "errors"

func realtime(int) error { return errors.New("needs Linux") }
