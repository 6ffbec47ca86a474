// Package arch holds the rules of the code base as tests: who may import whom, what a command looks like, what only the
// outermost packages may touch. A rule that has to give way gets a row in its table of exceptions, with the reason.
package arch
