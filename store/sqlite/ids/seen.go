package ids

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"pulseboard/store"
)

// hashOf returns what events of a tenant with the same name and id have in common. Two others
// have it by chance once in 37 times that a thousand million come in within two days.
func hashOf(tenant store.TenantID, e *store.Event) int64 {
	b := make([]byte, 0, 128)
	b = append(b, e.Name...)
	b = append(b, 0) // a name has no control characters, so pairs stay apart
	b = append(b, e.ID...)
	sum := sha256.Sum256(b)
	return HashOfTenant(tenant, sum[:])
}

// HashOfTenant returns the hash of an id from the SHA-256 of name, zero byte and id, of which the
// first 8 bytes are enough. It differs between tenants.
func HashOfTenant(tenant store.TenantID, digest []byte) int64 {
	return int64(binary.BigEndian.Uint64(digest) ^ uint64(tenant)*0x9e3779b97f4a7c15)
}

// Seen is an id that was kept: its hash, and when its event happened and came in, µs since the
// epoch.
type Seen struct{ Hash, Time, Received int64 }

// seenSet holds ids by their hashes, few of which have several.
type seenSet struct {
	by   map[int64]Seen
	more map[int64][]Seen // beyond the one in by
}

func newSeenSet() seenSet { return seenSet{map[int64]Seen{}, map[int64][]Seen{}} }

func (s seenSet) clear() {
	clear(s.by)
	clear(s.more)
}

func (s seenSet) add(id Seen) {
	if _, ok := s.by[id.Hash]; ok {
		s.more[id.Hash] = append(s.more[id.Hash], id)
		return
	}
	s.by[id.Hash] = id
}

func (s seenSet) contains(hash int64, same func(Seen) bool) bool {
	id, ok := s.by[hash]
	return ok && (same(id) || slices.ContainsFunc(s.more[hash], same))
}

// all appends the ids of the set in the order of their hashes.
func (s seenSet) all(ids []Seen) []Seen {
	ids = slices.AppendSeq(ids, maps.Values(s.by))
	for _, more := range s.more {
		ids = append(ids, more...)
	}
	return sortIDs(ids)
}

// sortIDs sorts ids by their hashes.
func sortIDs(ids []Seen) []Seen {
	slices.SortFunc(ids, func(a, b Seen) int {
		if a.Hash != b.Hash { // as they nearly always are
			return cmp.Compare(a.Hash, b.Hash)
		}
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Received, b.Received))
	})
	return ids
}
