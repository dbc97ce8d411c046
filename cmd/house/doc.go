// Package house holds tests only: they keep the promises that README.md makes about the house as
// a whole, which no single package can test. They read the source and run none of it, so they
// take moments.
//
//	imports_test.go    imports point one way, between packages and to libraries
//	layers_test.go     files of a package that calls itself layered use only what is below them
//	comments_test.go   packages and exported things say what they are for
//	words_test.go      a word of README's table is the name of one type
//	text_test.go       files are short, and say nothing that only their author needs
//
// Whoever adds a package gives it a place in the table of imports_test.go and in README's list.
//
// # Concurrency
//
// There is no state, and no goroutine.
package house
