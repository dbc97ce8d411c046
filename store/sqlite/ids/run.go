package ids

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"iter"
	"math"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/jmoiron/sqlx"
)

// pageIDs is how many ids a page of a run has, about.
const pageIDs = 500

// sortedRun is some ids, sorted by their hashes, in pages that never change.
type sortedRun struct {
	ID           int64
	IDs          int64 `db:"ids"`
	FirstTime    int64 `db:"first_time"`
	LastTime     int64 `db:"last_time"`
	LastReceived int64 `db:"last_received"`
}

const selectRuns = `SELECT id, ids, first_time, last_time, last_received FROM id_runs `

// appendIDs packs ids, sorted by their hashes: the earliest times, then of each the
// distance to the one before, and its times after those.
func appendIDs(b []byte, ids []Seen) []byte {
	first := Seen{0, math.MaxInt64, math.MaxInt64}
	for _, id := range ids {
		first.Time, first.Received = min(first.Time, id.Time), min(first.Received, id.Received)
	}
	b = binary.AppendVarint(b, first.Time)
	b = binary.AppendVarint(b, first.Received)
	hash := int64(math.MinInt64)
	for _, id := range ids {
		b = binary.AppendUvarint(b, uint64(id.Hash-hash))
		b = binary.AppendUvarint(b, uint64(id.Time-first.Time))
		b = binary.AppendUvarint(b, uint64(id.Received-first.Received))
		hash = id.Hash
	}
	return b
}

var errBadIDs = errors.New("a page of ids is damaged")

// unpackIDs reads what appendIDs wrote.
func unpackIDs(b []byte) iter.Seq2[Seen, error] {
	return func(yield func(Seen, error) bool) {
		ok := true
		signed := func() int64 {
			v, n := binary.Varint(b)
			if ok = ok && n > 0; ok {
				b = b[n:]
			}
			return v
		}
		unsigned := func() int64 {
			v, n := binary.Uvarint(b)
			if ok = ok && n > 0; ok {
				b = b[n:]
			}
			return int64(v)
		}
		time, received, hash := signed(), signed(), int64(math.MinInt64)
		for ok && len(b) > 0 {
			hash += unsigned()
			id := Seen{hash, time + unsigned(), received + unsigned()}
			if ok && !yield(id, nil) {
				return
			}
		}
		if !ok {
			yield(Seen{}, errBadIDs)
		}
	}
}

// runWriter makes a run of ids that come sorted. The run is not there until finish.
type runWriter struct {
	sortedRun
	filter *bloom.BloomFilter
	page   []Seen
	pages  []packedPage // that are to be written
	count  int          // pages in all
}

type packedPage struct {
	firstHash int64
	packed    []byte
}

func newRunWriter(ids int64) *runWriter {
	var number [8]byte
	rand.Read(number[:])
	return &runWriter{
		sortedRun: sortedRun{ID: int64(binary.LittleEndian.Uint64(number[:]) >> 1), FirstTime: math.MaxInt64, LastTime: math.MinInt64, LastReceived: math.MinInt64},
		filter:    bloom.New(filterBits*uint(max(ids, 64)), filterHashes),
	}
}

// add adds an id. Those with the same hash stay on one page.
func (w *runWriter) add(id Seen) {
	if len(w.page) >= pageIDs && w.page[len(w.page)-1].Hash != id.Hash {
		w.endPage()
	}
	w.page = append(w.page, id)
	w.filter.Add(hashBytes(id.Hash))
	w.IDs++
	w.FirstTime, w.LastTime = min(w.FirstTime, id.Time), max(w.LastTime, id.Time)
	w.LastReceived = max(w.LastReceived, id.Received)
}

func (w *runWriter) endPage() {
	if len(w.page) > 0 {
		w.pages = append(w.pages, packedPage{w.page[0].Hash, appendIDs(nil, w.page)})
		w.page = w.page[:0]
		w.count++
	}
}

// write writes the pages that are full.
func (w *runWriter) write(ctx context.Context, tx *sqlx.Tx) error {
	for _, p := range w.pages {
		if _, err := tx.ExecContext(ctx, `INSERT INTO id_pages (run, first_hash, packed) VALUES (?, ?, ?)`, w.ID, p.firstHash, p.packed); err != nil {
			return err
		}
	}
	return nil
}

// finish writes the rest, after which the run is there.
func (w *runWriter) finish(ctx context.Context, tx *sqlx.Tx) error {
	w.endPage()
	if err := w.write(ctx, tx); err != nil {
		return err
	}
	filter, err := w.filter.MarshalBinary()
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO id_runs (id, ids, first_time, last_time, last_received, filter) VALUES (?, ?, ?, ?, ?, ?)`,
		w.ID, w.IDs, w.FirstTime, w.LastTime, w.LastReceived, filter)
	return err
}

// WriteRun makes a run of ids, which it sorts.
func WriteRun(ctx context.Context, tx *sqlx.Tx, ids []Seen) error {
	return writeRun(ctx, tx, sortIDs(ids))
}

// writeRun makes a run of ids that are sorted.
func writeRun(ctx context.Context, tx *sqlx.Tx, ids []Seen) error {
	w := newRunWriter(int64(len(ids)))
	for _, id := range ids {
		w.add(id)
	}
	return w.finish(ctx, tx)
}
