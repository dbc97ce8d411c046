// Package pack knows what events look like on disk. [AppendEvents] packs events into bytes and
// [ReadEvents] returns them; [Reader], [AppendBytes] and [AppendFloats] are the alphabet that
// packs and the blocks of rollups (store/fold) are written in, and [Seal] puts a checksum
// behind either, so that damage is an error and never a wrong figure.
//
// The first byte of a pack names its form, so a new form can come without making the old ones
// unreadable. Whatever the bytes hold, reading them ends with events or an error, which is
// store.ErrDamaged.
//
// # Concurrency
//
// Functions are safe for concurrent use and do not change what they are given. A Reader belongs
// to one goroutine at a time.
package pack
