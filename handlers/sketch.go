package handlers

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"pulseboard/store/secret"
)

const (
	sketchRows  = 3
	sketchCells = 1 << 14 // a row
)

// failureSketch counts failures by key, each of which is forgiven in time: a leaky
// bucket for each key, kept in a count-min sketch. It takes the same memory for any
// number of keys of any length, and no key can make it forget another: keys that
// share all their cells count together. Which do is a secret of the process.
//
// A row forgives sketchCells failures in the time in which a key is forgiven one:
// for accounts that is 1,000 a second, ten times what two cores can hash, so that
// cells are all but empty. A flood beyond that makes keys wait that never failed.
//
// It is to be guarded by its user.
//
// Sources: Turner, New Directions in Communications, 1986; Cormode and
// Muthukrishnan, An Improved Data Stream Summary, 2005.
type failureSketch struct {
	burst int           // failures in a row that are allowed
	every time.Duration // one is forgiven after it
	began time.Time
	key   []byte // of the hashes of keys
	rows  [sketchRows][]failureCell
}

type failureCell struct {
	empty   time.Duration // since the sketch began: when all failures are forgiven
	pending int           // attempts that are not decided yet
}

// failureCells are the cells of a key, one a row.
type failureCells [sketchRows]*failureCell

func newFailureSketch(burst int, every time.Duration) *failureSketch {
	s := &failureSketch{burst: burst, every: every, began: time.Now(), key: secret.NewSecret(sha256.Size)}
	for i := range s.rows {
		s.rows[i] = make([]failureCell, sketchCells)
	}
	return s
}

// cells gives the cells of a key.
func (s *failureSketch) cells(key string) failureCells {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(key))
	sum := mac.Sum(nil)
	var cells failureCells
	for i := range cells {
		cells[i] = &s.rows[i][binary.LittleEndian.Uint32(sum[4*i:])%sketchCells]
	}
	return cells
}

// room returns how long failures alone make a key wait until it may make one more
// attempt, 0 when they don't, and whether it is full: no attempt may be made now,
// be it for those that are not decided.
func (s *failureSketch) room(cells failureCells) (wait time.Duration, full bool) {
	now := time.Since(s.began)
	room := time.Duration(s.burst-1) * s.every
	failed, all := time.Duration(1<<62), time.Duration(1<<62)
	for _, c := range cells {
		debt := max(0, c.empty-now)
		failed = min(failed, debt)
		all = min(all, debt+time.Duration(c.pending)*s.every)
	}
	return max(0, failed-room), all > room
}

// begin counts an attempt that is not decided yet.
func (s *failureSketch) begin(cells failureCells) {
	for _, c := range cells {
		c.pending++
	}
}

// end decides an attempt that was begun.
func (s *failureSketch) end(cells failureCells, failed bool) {
	now := time.Since(s.began)
	for _, c := range cells {
		c.pending--
		if failed {
			c.empty = min(max(c.empty, now)+s.every, now+time.Duration(s.burst)*s.every)
		}
	}
}
