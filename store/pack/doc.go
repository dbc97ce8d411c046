// Package pack knows what events look like on disk. [AppendEvents] packs events into bytes and
// [ReadEvents] returns them; [Reader], [AppendBytes] and [AppendFloats] are the alphabet that
// packs and the blocks of rollups (store/fold) are written in, and [Seal] puts a checksum
// behind either, so that damage is an error and never a wrong figure.
//
// Bytes that were written once are read forever: a new form gets a new number in the first
// byte, and the old ones stay readable. Whatever the bytes hold, reading them ends with events
// or an error, which is store.ErrDamaged.
//
// # Concurrency
//
// Functions are safe for concurrent use and keep nothing that they are given. A Reader belongs
// to one goroutine at a time.
package pack
