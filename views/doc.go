// Package views knows HTML. Each page is a struct, which has the shape of the
// picture, and a component that draws it.
//
// The heart is [Widget]: the component that paints it on a page is the one whose
// output goes down the stream. It is a function of its struct alone, without a
// clock and without anything of one viewer, so that equal readings give equal
// bytes and one rendering serves all who watch.
//
// Nothing here has state; everything may be used by any number of goroutines.
package views
