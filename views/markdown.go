package views

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/a-h/templ"
	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"
)

// Bounds of a text that is drawn as Markdown. The library takes the square of some marks,
// gives every row of a table as many cells as its head has, and repeats what a link
// refers to; a person's text holds far less.
const (
	mostText  = 64 << 10 // bytes
	mostMarks = 1_000    // of one kind
	mostCells = 20_000
	mostHTML  = 1 << 20 // bytes
)

var (
	markdown = goldmark.New(goldmark.WithExtensions(extension.GFM),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(imageRenderer{}, 100)))) // before its own
	harmless = harmlessPolicy()
)

// harmlessPolicy lets through what a text widget may hold. Links lead to a page of
// this server or to a host that is named, and tell it nothing of where they stand.
func harmlessPolicy() *bluemonday.Policy {
	policy := bluemonday.UGCPolicy()
	policy.RequireNoReferrerOnLinks(true)
	policy.AddTargetBlankToFullyQualifiedLinks(true)
	for _, scheme := range []string{"http", "https"} {
		policy.AllowURLSchemeWithCustomPolicy(scheme, func(u *url.URL) bool { return u.Host != "" })
	}
	return policy
}

// markdown draws the words of a text widget. Its author may be anyone who edits
// dashboards, so what could do harm is taken out, and a text that would take long to
// draw is shown as it is written.
func (w Widget) markdown() string {
	b := limitedBuffer{}
	if tooElaborate(w.Def.Text) || markdown.Convert([]byte(w.Def.Text), &b) != nil {
		return "<p>" + templ.EscapeString(w.Def.Text) + "</p>"
	}
	return harmless.Sanitize(b.String())
}

// tooElaborate reports whether a text holds more marks than a person writes.
func tooElaborate(text string) bool {
	if len(text) > mostText {
		return true
	}
	for _, mark := range []string{"*", "_", "~", "`", "[", "<", ">", "|"} {
		if strings.Count(text, mark) > mostMarks {
			return true
		}
	}
	lines, columns := 0, 0
	for line := range strings.Lines(text) {
		lines++
		columns = max(columns, strings.Count(line, "|"))
	}
	return lines*columns > mostCells
}

// limitedBuffer takes no more than mostHTML.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > mostHTML {
		return 0, errors.New("the text is too long")
	}
	return b.Buffer.Write(p)
}

// ownFiles is where this server has images; no address of another host begins so.
const ownFiles = "/static/"

// imageRenderer draws the images of this server. Those of other hosts the browser would
// not load, and they would tell their host who looks: a link stands in their place.
type imageRenderer struct{}

func (imageRenderer) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindImage, drawImage)
}

func drawImage(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	address := util.EscapeHTML(util.URLEscape(n.(*ast.Image).Destination, true))
	words := imageWords(n, source)
	if bytes.HasPrefix(address, []byte(ownFiles)) {
		_, err := fmt.Fprintf(w, `<img src="%s" alt="%s">`, address, words)
		return ast.WalkSkipChildren, err
	}
	if len(words) == 0 {
		words = address
	}
	if inLink(n) {
		_, err := w.Write(words)
		return ast.WalkSkipChildren, err
	}
	_, err := fmt.Fprintf(w, `<a href="%s">%s</a>`, address, words)
	return ast.WalkSkipChildren, err
}

// imageWords gives the text that stands for an image, as HTML.
func imageWords(n ast.Node, source []byte) []byte {
	var b bytes.Buffer
	words := bufio.NewWriter(&b)
	_ = ast.Walk(n, func(part ast.Node, entering bool) (ast.WalkStatus, error) { // no part fails
		if entering {
			switch part := part.(type) {
			case *ast.Text:
				html.DefaultWriter.Write(words, part.Segment.Value(source))
			case *ast.String:
				html.DefaultWriter.Write(words, part.Value)
			}
		}
		return ast.WalkContinue, nil
	})
	_ = words.Flush() // a buffer takes everything
	return b.Bytes()
}

// inLink reports whether a node stands in a link, where no other may.
func inLink(n ast.Node) bool {
	for n = n.Parent(); n != nil; n = n.Parent() {
		if n.Kind() == ast.KindLink {
			return true
		}
	}
	return false
}
