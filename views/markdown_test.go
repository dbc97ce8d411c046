package views

import (
	"fmt"
	"strings"
	"testing"

	"pulseboard/store"
	"pulseboard/store/growth"
)

func drawnWords(text string) string {
	return strings.TrimSpace(Widget{Def: store.Widget{Kind: store.TextKind, Text: text}}.markdown())
}

// What an author of a dashboard writes loads nothing from elsewhere, runs nothing and
// leads only where it says.
func TestMarkdownIsHarmless(t *testing.T) {
	link := func(address, words string) string {
		return `<p><a href="` + address + `" rel="nofollow noreferrer noopener" target="_blank">` + words + `</a></p>`
	}
	near := func(address string) string {
		return `<p><a href="` + address + `" rel="nofollow noreferrer">a</a></p>`
	}
	for text, want := range map[string]string{
		"![a **b** c](https://evil.example/x.png)":       link("https://evil.example/x.png", "a b c"),
		"![](https://evil.example/x)":                    link("https://evil.example/x", "https://evil.example/x"),
		"![a](//evil.example/x)":                         link("//evil.example/x", "a"),
		"![a](//static/x)":                               link("//static/x", "a"),
		`![a](/\evil.example/static/)`:                   near("/%5Cevil.example/static/"),
		"![a](data:image/png;base64,AAAA)":               "<p>a</p>",
		"![a](javascript:alert(1))":                      "<p>a</p>",
		"![\\<b>&amp;\"](https://e.example/\"onerror=x)": link("https://e.example/%22onerror=x", "&lt;b&gt;&amp;&#34;"),
		"![a](/static/icon.svg)":                         `<p><img src="/static/icon.svg" alt="a"></p>`,
		"[![a](https://e.example/x)](https://z.example)": link("https://z.example", "a"),
		"<img src=https://evil.example/x>":               "",
		"[a](javascript:alert(1))":                       "<p>a</p>",
		"[a](JaVaScRiPt&colon;alert(1))":                 "<p>a</p>",
		"[a](&#106;avascript:alert(1))":                  "<p>a</p>",
		"[a](data:text/html,x)":                          "<p>a</p>",
		"[a](vbscript:x)":                                "<p>a</p>",
		"[a](//evil.example)":                            link("//evil.example", "a"),
		`[a](\\evil.example)`:                            near("%5Cevil.example"),
		`[a](/\evil.example)`:                            near("/%5Cevil.example"),
		`[a](https:/\evil.example)`:                      "<p>a</p>",
		"[a](https:evil.example)":                        "<p>a</p>",
		"[a](http:///evil.example)":                      "<p>a</p>",
		"[a](/dashboards/b)":                             near("/dashboards/b"),
		"[a](https://example.com)":                       link("https://example.com", "a"),
	} {
		if got := drawnWords(text); got != want {
			t.Errorf("%s is drawn\n%s, want\n%s", text, got, want)
		}
	}
}

// A text that would take the square of its length is shown as it is written.
func TestMarkdownTakesNoTimeOfTheSquare(t *testing.T) {
	again := func(s string) func(n int) string {
		return func(n int) string { return strings.Repeat(s, n/len(s)) }
	}
	for name, build := range map[string]func(n int) string{
		"a wide table": func(n int) string {
			return again("|a")(n/6) + "|\n" + again("|-")(n/6) + "|\n" + again("b\n")(n/3)
		},
		"a long address, referred to": func(n int) string { return "[a]: /" + again("x")(n/2) + "\n\n" + again("[a]")(n/2) },
		"emphasis":                    again("*a_ "),
		"strong emphasis":             again("*a **a "),
		"strikes":                     again("~a~~"),
		"quotes in quotes":            again(">"),
		"quotes":                      again("> a\n"),
		"links never closed":          again("[a]("),
		"links in angles":             again("[a](<b"),
		"brackets":                    again("["),
		"images":                      again("!["),
		"references":                  again("[a]: b \"\n"),
		"code": func(n int) string {
			var b strings.Builder
			for i := 1; b.Len() < n; i++ {
				b.WriteString(strings.Repeat("`", i) + "a")
			}
			return b.String()
		},
		"tags":       again("<a "),
		"addresses":  again("http://a.b "),
		"mails":      again("a@b.c "),
		"lists":      again("- "),
		"items":      again("- a\n"),
		"headings":   again("# a\n"),
		"paragraphs": again("a\n\n"),
		"a staircase": func(n int) string {
			var b strings.Builder
			for i := 0; b.Len() < n; i++ {
				fmt.Fprintf(&b, "%*s- a\n", 2*i, "")
			}
			return b.String()
		},
	} {
		t.Run(name, func(t *testing.T) {
			growth.Check(t, 8<<10, 128<<10, build, func(s string) { drawnWords(s) })
			for n := 1 << 10; n <= 64<<10; n *= 2 {
				if got := len(drawnWords(build(n))); got > 2*mostHTML {
					t.Errorf("%d bytes are drawn as %d", n, got)
				}
			}
		})
	}
	if got := drawnWords("# a\n" + strings.Repeat("*", mostMarks+1) + "<b>"); !strings.HasPrefix(got, "<p># a\n*") || !strings.HasSuffix(got, "*&lt;b&gt;</p>") {
		t.Errorf("%.40s…", got)
	}
}
