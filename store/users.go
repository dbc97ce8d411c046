package store

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/axiomhq/hyperloglog"
	"github.com/cespare/xxhash/v2"
)

// exactUsers is the number of users up to which a set knows each.
const exactUsers = 10_000

// userSet is a set of users that gives its size: exactly up to exactUsers, within
// some 0.4 % (one standard deviation) beyond. The size depends on the users alone,
// not on the order they came in or on how sets were merged.
//
// Source: Heule, Nunkesser and Hall, HyperLogLog in Practice, 2013.
type userSet struct {
	hashes map[uint64]struct{}
	sketch *hyperloglog.Sketch // nil while hashes holds all
}

// hashUser names a user in 64 bits: of a million users no two share theirs, but
// for one million in 30 million.
func hashUser(user string) uint64 { return xxhash.Sum64String(user) }

func (s *userSet) add(hash uint64) {
	if s.sketch != nil {
		s.sketch.InsertHash(hash)
		return
	}
	if s.hashes == nil {
		s.hashes = map[uint64]struct{}{}
	}
	s.hashes[hash] = struct{}{}
	if len(s.hashes) > exactUsers {
		s.toSketch()
	}
}

func (s *userSet) toSketch() {
	if s.sketch != nil {
		return
	}
	s.sketch = hyperloglog.New16NoSparse()
	for hash := range s.hashes {
		s.sketch.InsertHash(hash)
	}
	s.hashes = nil
}

func (s *userSet) merge(o *userSet) {
	if o.sketch == nil {
		for hash := range o.hashes {
			s.add(hash)
		}
		return
	}
	s.toSketch()
	if err := s.sketch.Merge(o.sketch); err != nil {
		panic(err) // only for sketches of another precision
	}
}

// size is the number of users; about says that it is estimated.
func (s *userSet) size() (n int, about bool) {
	if s.sketch != nil {
		return int(s.sketch.Estimate()), true
	}
	return len(s.hashes), false
}

// append writes the set: 0 and the sorted hashes, or 1 and the sketch.
func (s *userSet) append(b []byte) []byte {
	if s.sketch != nil {
		sketch, err := s.sketch.MarshalBinary()
		if err != nil {
			panic(err) // a sketch in memory can be written
		}
		return appendBytes(append(b, 1), sketch)
	}
	b = binary.AppendUvarint(append(b, 0), uint64(len(s.hashes)))
	for _, hash := range slices.Sorted(maps.Keys(s.hashes)) {
		b = binary.LittleEndian.AppendUint64(b, hash)
	}
	return b
}

func (s *userSet) read(r *blockReader) {
	switch kind := r.byte(); kind {
	case 0:
		for range r.length(8) {
			s.add(r.uint64())
		}
	case 1:
		s.sketch = &hyperloglog.Sketch{}
		if err := s.sketch.UnmarshalBinary(r.bytes()); err != nil {
			r.fail(err)
			s.sketch = nil
		}
	default:
		r.fail(fmt.Errorf("kind %d of users", kind))
	}
}
