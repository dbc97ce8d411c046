// Package views knows HTML. Each page is a struct, which has the shape of the
// picture, and a component that draws it.
//
// The heart is [Widget]: the component that paints it on a page is the one whose
// output goes down the stream. It is a function of its struct alone, without a
// clock and without anything of one viewer, so that equal readings give equal
// bytes and one rendering serves all who watch.
//
// A kind of widget is drawn by two files of its own, such as widget_stat.go and
// widget_stat.templ, and named in one line of the table in kind.go. Its traits stand in one
// line of the table in store/kind.go, beside its name; the rules for dashboards, how events
// fold, the schema and the manual follow from them. Its styles may stand in a file of their
// own, such as static/css/kind-status.css.
//
// Nothing here has state; everything may be used by any number of goroutines.
package views
