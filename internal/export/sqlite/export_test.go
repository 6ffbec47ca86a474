package sqlite

// ShrinkCache makes exports write to their file early.
func ShrinkCache() { cacheSize = 1 << 10 }
