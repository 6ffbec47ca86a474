package cli

import (
	"errors"
	"fmt"
)

// failure is an error with an exit status; without err it is silent.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string {
	if f.err == nil {
		return ""
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// Fail returns an error that ends the program with status code after printing the text, made as by fmt.Errorf. An empty
// format prints nothing. The code may be 0.
func Fail(code int, format string, args ...any) error {
	if format == "" {
		return &failure{code: code}
	}
	return &failure{code: code, err: fmt.Errorf(format, args...)}
}

// usageError asks for the usage text.
type usageError struct{ code int }

func (u *usageError) Error() string { return "" }

// Usage returns an error that ends the program with status code after printing the usage text, as a bad option does.
func Usage(code int) error { return &usageError{code} }

// exitStatus is the status a program ends with when its run returns err: that of the first Fail or Usage in it, else 1.
func exitStatus(err error) int {
	var (
		f *failure
		u *usageError
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &f):
		return f.code
	case errors.As(err, &u):
		return u.code
	}
	return 1
}
