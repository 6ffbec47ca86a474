package cli

// Meter shows how far a run got. Implementations live outside this package (internal/cli/progress), so that only tools that show
// progress link them.
type Meter interface {
	Add(n int64)
	Done()
}
