package ids

import (
	"encoding/binary"

	"github.com/bits-and-blooms/bloom/v3"
)

// soundIDs returns the ids of a page up to where it is damaged.
func soundIDs(packed []byte) (ids []Seen, sound bool) {
	for id, err := range unpackIDs(packed) {
		if err != nil {
			return ids, false
		}
		ids = append(ids, id)
	}
	return ids, true
}

// filterHeader is what stands before the bits of a filter: their number, that of the
// hashes, and the number of the bits again.
const filterHeader = 24

// readFilter reads a filter, or returns nil when it is damaged. Its numbers are checked
// first, because the library makes room for as many bits as they say.
func readFilter(packed []byte) *bloom.BloomFilter {
	if len(packed) < filterHeader {
		return nil
	}
	bits, hashes, again := binary.BigEndian.Uint64(packed), binary.BigEndian.Uint64(packed[8:]), binary.BigEndian.Uint64(packed[16:])
	if bits != again || hashes != filterHashes || bits == 0 || bits > 8*uint64(len(packed)) || uint64(len(packed)) != filterHeader+(bits+63)/64*8 {
		return nil
	}
	f := new(bloom.BloomFilter)
	if f.UnmarshalBinary(packed) != nil {
		return nil
	}
	return f
}

// mendFilter makes the filter of a run anew.
func (t *Transaction) mendFilter(run *sortedRun) (*bloom.BloomFilter, error) {
	t.ids.damaged.Add(1)
	w := newRunWriter(run.IDs)
	rows, err := t.tx.QueryContext(t.ctx, `SELECT packed FROM id_pages WHERE run = ?`, run.ID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var packed []byte
		if err := rows.Scan(&packed); err != nil {
			return nil, err
		}
		ids, _ := soundIDs(packed)
		for _, id := range ids {
			w.filter.Add(hashBytes(id.Hash))
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	packed, err := w.filter.MarshalBinary()
	if err != nil {
		return nil, err
	}
	_, err = t.tx.ExecContext(t.ctx, `UPDATE id_runs SET filter = ? WHERE id = ?`, packed, run.ID)
	return w.filter, err
}

// mendPage leaves of the page of a run that has a hash what can be read of it.
func (t *Transaction) mendPage(run *sortedRun, hash int64, packed []byte) error {
	t.ids.damaged.Add(1)
	ids, _ := soundIDs(packed)
	_, err := t.tx.ExecContext(t.ctx, `UPDATE id_pages SET packed = ?1 WHERE run = ?2 AND first_hash =
		(SELECT max(first_hash) FROM id_pages WHERE run = ?2 AND first_hash <= ?3)`, appendIDs(nil, ids), run.ID, hash)
	return err
}
