// Package static knows files: styles, scripts, icons and fonts, all inside the
// binary. Each has an address that names its content, so that browsers keep it
// for ever and never show an old one.
//
// Everything is prepared when the program starts and only read afterwards, by
// any number of goroutines.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed css js icons vendor
var files embed.FS

// prefix is where the files are served.
const prefix = "/static/"

// asset is a file as it is served.
type asset struct {
	path        string // with the digest of the content in its name
	contentType string
	plain       []byte
	packed      []byte // gzip; nil when it would not be smaller
}

var assets, served = load()

// load reads all files: by the names pages know them by, and by address.
// The style sheets are one file, in the order of their names.
func load() (byName, byPath map[string]*asset) {
	byName, byPath = map[string]*asset{}, map[string]*asset{}
	add := func(name string, content []byte) {
		a := newAsset(name, content)
		byName[name], byPath[a.path] = a, a
	}
	var css []byte
	err := fs.WalkDir(files, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(file)
		if err != nil {
			return err
		}
		switch path.Dir(file) {
		case "css":
			css = append(css, content...)
		case "js", "icons":
			add(path.Base(file), content)
		default:
			add(file, content)
		}
		return nil
	})
	if err != nil {
		panic(err) // an embedded file can be read
	}
	for name, a := range byName {
		css = bytes.ReplaceAll(css, []byte("url("+name+")"), []byte("url("+a.path+")"))
	}
	add("app.css", css)
	return byName, byPath
}

func newAsset(name string, content []byte) *asset {
	sum := sha256.Sum256(content)
	extension := path.Ext(name)
	a := &asset{
		path:        prefix + strings.TrimSuffix(name, extension) + "." + hex.EncodeToString(sum[:5]) + extension,
		contentType: mime.TypeByExtension(extension),
		plain:       content,
	}
	switch extension {
	case ".woff2":
		a.contentType = "font/woff2"
	case ".js":
		a.contentType = "text/javascript; charset=utf-8"
	case ".txt", "":
		a.contentType = "text/plain; charset=utf-8"
	}
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level exists
	_, _ = w.Write(content)                                    // a buffer takes everything
	_ = w.Close()
	if packed.Len() < len(content)*9/10 {
		a.packed = packed.Bytes()
	}
	return a
}

// Path gives the address of a file by its name, such as "app.css" or
// "vendor/htmx-2.0.11.min.js". It panics for a file that is not there.
func Path(name string) string {
	a := assets[name]
	if a == nil {
		panic("static: no file " + strconv.Quote(name))
	}
	return a.path
}

// Handler serves the files.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := served[r.URL.Path]
		if a == nil {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.contentType)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Vary", "Accept-Encoding")
		content := a.plain
		if a.packed != nil && acceptsGzip(r.Header.Values("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			content = a.packed
		}
		h.Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content) // a reader that went away is no error of ours
	})
}

// acceptsGzip is deliberately plain: whoever weighs gzip with q= gets the file as it is.
func acceptsGzip(accept []string) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(accept, ","), ","), func(s string) bool {
		return strings.TrimSpace(s) == "gzip"
	})
}
