// Package follow reads a log that grows and is rotated, as tail -F does: by its name,
// whichever file has it. It knows files and nothing of what they hold but lines.
//
// A [Log] belongs to one goroutine; different ones share nothing.
package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"pulseboard/store/ingest"
)

const (
	// pollEvery is how often a log is looked at when the system says nothing of it, as on
	// network file systems.
	pollEvery = 500 * time.Millisecond
	// maxLine is how much of a line is waited for. A Reader takes none that long.
	maxLine = 4 << 20
	// markBytes is how many bytes before the place that was read up to are remembered, to
	// see that others stand there now.
	markBytes = 64
	// openPatience is how long a file that took the place of another may refuse to be
	// opened: who rotates a log gives it to its readers a moment after making it.
	openPatience = 10 * time.Second
)

// Log is a log that is followed. It gives its files one after the other, each from its
// beginning: Read ends with io.EOF where a file is over, for another has its name or it was
// cut to its beginning, and Next goes on with the one after it. It belongs to one
// goroutine.
//
// Only whole lines are given. A file is over as soon as its successor has something in it
// and there is nothing more in itself. What is written to it later is not seen, nor what
// is cut off before it was read.
type Log struct {
	ctx     context.Context
	path    string
	watcher *fsnotify.Watcher // nil when only polling is possible

	file   *os.File
	offset int64  // how far file was read
	mark   []byte // what stands before offset
	buffer []byte // what was read and not given
	whole  int    // bytes of buffer that may be given
	files  int    // that were opened
	over   bool   // file is
}

// Open follows the log with a name. It need not exist yet. Reading ends with the ctx, and
// gives its error.
func Open(ctx context.Context, path string) *Log {
	l := &Log{ctx: ctx, path: path}
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		if l.watcher = watcher; watcher.Add(filepath.Dir(path)) != nil {
			_ = watcher.Close() // it watches nothing; polling does
			l.watcher = nil
		}
	}
	return l
}

// Close lets go of the file.
func (l *Log) Close() {
	if l.watcher != nil {
		_ = l.watcher.Close() // nobody waits for it any more
	}
	if l.file != nil {
		l.file.Close()
	}
}

// Unfinished is how many bytes a file that is over has after its last whole line.
func (l *Log) Unfinished() int { return len(l.buffer) }

// Next goes on with the next file, and waits for it to exist.
func (l *Log) Next() error {
	since := time.Now()
	for {
		file, err := openLog(l.path)
		if err == nil {
			if l.file != nil {
				l.file.Close()
			}
			l.file, l.offset, l.mark, l.buffer, l.whole, l.over = file, 0, nil, nil, 0, false
			l.files++
			return nil
		}
		rotated := l.files > 0 && errors.Is(err, fs.ErrPermission) && time.Since(since) < openPatience
		if !errors.Is(err, fs.ErrNotExist) && !rotated {
			return err
		}
		if err := l.wait(); err != nil {
			return err
		}
	}
}

func openLog(path string) (*os.File, error) {
	info, err := os.Stat(path) // before opening, which may wait for a pipe's other end
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file: only files can be followed", path)
	}
	return os.Open(path)
}

// Read gives whole lines of the file, as soon as they are there.
func (l *Log) Read(p []byte) (int, error) {
	if l.file == nil {
		if err := l.Next(); err != nil {
			return 0, err
		}
	}
	for l.whole == 0 {
		if l.over {
			return 0, io.EOF
		}
		some, err := l.fill()
		if err != nil {
			return 0, err
		}
		if some || l.over {
			continue
		}
		replaced, err := l.replaced()
		if err != nil {
			return 0, err
		}
		if replaced {
			for some = true; some && err == nil; { // what came before its successor did
				some, err = l.fill()
			}
			l.over = true
		} else {
			err = l.wait()
		}
		if err != nil {
			return 0, err
		}
	}
	n := copy(p, l.buffer[:l.whole])
	l.buffer, l.whole = l.buffer[n:], l.whole-n
	return n, nil
}

// fill reads what the file has more, some of it if that is much, and says whether it has.
// The file is over when it is another than it was read up to here: it is shorter, or
// something else stands before. So it is when a log is copied and then cut. What stands
// before is read with what is new, for the file may be cut at any moment.
func (l *Log) fill() (some bool, err error) {
	read := make([]byte, 64<<10)
	n, err := l.file.ReadAt(read, l.offset-int64(len(l.mark)))
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if read = read[:n]; !bytes.HasPrefix(read, l.mark) {
		l.over = true
		return false, nil
	}
	added := read[len(l.mark):]
	if name, packed := ingest.Packed(added); packed && l.offset == 0 {
		return false, fmt.Errorf("%s is compressed by %s: only plain files can be followed", l.path, name)
	}
	l.offset += int64(len(added))
	l.mark = bytes.Clone(read[max(0, len(read)-markBytes):])
	l.buffer = append(l.buffer, added...)
	if end := bytes.LastIndexByte(added, '\n'); end >= 0 {
		l.whole = len(l.buffer) - len(added) + end + 1
	} else if len(l.buffer) > maxLine {
		l.whole = len(l.buffer)
	}
	return len(added) > 0, nil
}

// replaced says whether another file has the log's name now, and something in it. While
// that is empty, who writes may still hold the one before.
func (l *Log) replaced() (bool, error) {
	named, err := os.Stat(l.path)
	if err != nil || named.Size() == 0 {
		return false, nil // it will have a successor, or a readable one
	}
	info, err := l.file.Stat()
	return err == nil && !os.SameFile(named, info), err
}

// wait waits until something may have happened to the log. The error is that of the ctx.
func (l *Log) wait() error {
	poll := time.NewTimer(pollEvery)
	defer poll.Stop()
	var events <-chan fsnotify.Event
	var errs <-chan error
	if l.watcher != nil {
		events, errs = l.watcher.Events, l.watcher.Errors
	}
	for {
		select {
		case <-l.ctx.Done():
			return l.ctx.Err()
		case <-poll.C:
			return nil
		case event := <-events:
			if filepath.Base(event.Name) == filepath.Base(l.path) {
				return nil
			}
		//lint:ignore S1005 that the error is dropped should be seen
		case _ = <-errs: // such as too many events: look
			return nil
		}
	}
}
