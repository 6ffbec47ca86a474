package cli

// Completion returns a completion script for bash, zsh or fish.
func (s *Spec) Completion(shell string) (string, bool) {
	return "", false
}
