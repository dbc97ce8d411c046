package fold

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"unsafe"

	"github.com/axiomhq/hyperloglog"
	"github.com/cespare/xxhash/v2"

	"pulseboard/store/pack"
)

// exactUsers is the number of users up to which a set knows each.
const exactUsers = 10_000

// userSet is a set of users that gives its size: exactly up to exactUsers, within
// some 0.4 % (one standard deviation) beyond. The size depends on the users alone,
// not on the order they came in or on how sets were merged.
//
// Source: Heule, Nunkesser and Hall, HyperLogLog in Practice, 2013.
type userSet struct {
	// While they are few the set has one of these: those that were read or merged,
	// which never change because other sets may have them too, or those that were added.
	sorted []uint64
	hashes map[uint64]struct{}

	sketch   *hyperloglog.Sketch // of all, when they are many
	estimate int                 // what the sketch says; 0 when it was not asked
}

const (
	hashesBytes = 120     // that a map of up to 8 hashes takes
	hashBytes   = 20      // that each hash takes in a map of more, about
	sketchBytes = 1 << 16 // of registers
)

// bytes is about how many bytes the set takes. Sorted hashes that sets share count in each.
func (s *userSet) bytes() int {
	n := int(unsafe.Sizeof(*s)) + 8*len(s.sorted)
	if s.hashes != nil {
		n += hashesBytes + hashBytes*max(0, len(s.hashes)-8)
	}
	if s.sketch != nil {
		n += sketchBytes
	}
	return n
}

// hashUser names a user in 64 bits: of a million users no two share theirs, but
// for one million in 30 million.
func hashUser(user string) uint64 { return xxhash.Sum64String(user) }

func (s *userSet) add(hash uint64) {
	if s.sketch != nil {
		s.sketch.InsertHash(hash)
		s.estimate = 0
		return
	}
	if s.hashes == nil {
		s.hashes = make(map[uint64]struct{}, len(s.sorted)+1)
		for _, h := range s.sorted {
			s.hashes[h] = struct{}{}
		}
		s.sorted = nil
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
	for _, hash := range s.sorted {
		s.sketch.InsertHash(hash)
	}
	for hash := range s.hashes {
		s.sketch.InsertHash(hash)
	}
	s.sorted, s.hashes = nil, nil
}

// merge adds the users of o, which stays as it is.
func (s *userSet) merge(o *userSet) {
	switch {
	case o.sketch != nil:
		s.toSketch()
		if err := s.sketch.Merge(o.sketch); err != nil {
			panic(err) // only for sketches of another precision
		}
		s.estimate = 0
	case s.sketch == nil && s.hashes == nil && o.hashes == nil:
		s.sorted = union(s.sorted, o.sorted)
		if len(s.sorted) > exactUsers {
			s.toSketch()
		}
	default:
		for _, hash := range o.sorted {
			s.add(hash)
		}
		for hash := range o.hashes {
			s.add(hash)
		}
	}
}

// union returns all of a and b, which are sorted and stay as they are.
func union(a, b []uint64) []uint64 {
	if len(a) == 0 {
		return b
	}
	all := make([]uint64, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			all, a = append(all, a[0]), a[1:]
		case a[0] > b[0]:
			all, b = append(all, b[0]), b[1:]
		default:
			all, a, b = append(all, a[0]), a[1:], b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// size is the number of users; about reports whether it is estimated.
func (s *userSet) size() (n int, about bool) {
	if s.sketch == nil {
		return len(s.sorted) + len(s.hashes), false
	}
	if s.estimate == 0 {
		s.estimate = int(s.sketch.Estimate())
	}
	return s.estimate, true
}

// isEmpty reports whether there are no users.
func (s *userSet) isEmpty() bool { return s.sketch == nil && len(s.sorted)+len(s.hashes) == 0 }

// append writes the set: 0 and the sorted hashes, or 1, what the sketch says, which takes
// long to find out, and the sketch.
func (s *userSet) append(b []byte) []byte {
	if s.sketch != nil {
		sketch, err := s.sketch.MarshalBinary()
		if err != nil {
			panic(err) // a sketch in memory can be written
		}
		n, _ := s.size()
		return pack.AppendBytes(binary.AppendUvarint(append(b, 1), uint64(n)), sketch)
	}
	sorted := s.sorted
	if s.hashes != nil {
		sorted = slices.Sorted(maps.Keys(s.hashes))
	}
	b = binary.AppendUvarint(append(b, 0), uint64(len(sorted)))
	for _, hash := range sorted {
		b = binary.LittleEndian.AppendUint64(b, hash)
	}
	return b
}

func (s *userSet) read(r *pack.Reader) {
	switch kind := r.Byte(); kind {
	case 0:
		n := r.Length(8)
		s.sorted = make([]uint64, n)
		for i := range s.sorted {
			s.sorted[i] = r.Uint64()
			if i > 0 && s.sorted[i] <= s.sorted[i-1] {
				r.Fail(errors.New("users are not sorted"))
			}
		}
		if n > exactUsers {
			s.toSketch()
		}
	case 1:
		s.sketch, s.estimate = &hyperloglog.Sketch{}, int(r.Uvarint()&math.MaxInt32)
		if err := s.sketch.UnmarshalBinary(r.Bytes()); err != nil {
			r.Fail(err)
			s.sketch = nil
		}
	default:
		r.Fail(fmt.Errorf("kind %d of users", kind))
	}
}
