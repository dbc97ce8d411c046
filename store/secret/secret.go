// Package secret hashes what must not be kept in the clear, passwords and
// ingest keys, and draws what must not be guessed.
//
// Its functions may be called by any number of goroutines. Hashing a password
// takes 19 MiB of memory and a core, so passwords are hashed on half of the cores at most.
package secret

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
)

// Lengths of a password, in characters.
const (
	MinPassword = 8
	MaxPassword = 1_000
)

// parameters are the second choice of OWASP's Password Storage Cheat Sheet for
// Argon2id: 19 MiB, two passes, one lane.
var parameters = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// hashing bounds the hashes computed at once, and so the memory and the cores that a crowd of
// people who sign in can take.
var hashing = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))

// HashPassword gives what is kept of a password. The error says which lengths
// are right.
func HashPassword(password string) (string, error) {
	if n := utf8.RuneCountInString(password); n < MinPassword || n > MaxPassword {
		return "", fmt.Errorf("the password has %d characters: use %d to %d", n, MinPassword, MaxPassword)
	}
	hashing <- struct{}{}
	defer func() { <-hashing }()
	return argon2id.CreateHash(password, parameters)
}

// TooLong reports whether a password has more than MaxPassword characters, so
// that it is nobody's.
func TooLong(password string) bool {
	return len(password) > utf8.UTFMax*MaxPassword || utf8.RuneCountInString(password) > MaxPassword
}

// ErrBusy says that too many passwords wait to be checked already.
var ErrBusy = errors.New("too many passwords wait to be checked")

// A Line is where passwords wait to be checked. It has a bounded number of places,
// so that a crowd that comes faster than passwords are hashed is told so. Lines take
// turns, however long they are: a crowd in one does not hold up another.
type Line struct {
	places chan struct{}
	front  chan struct{} // one of each line waits for its turn to be hashed
}

// NewLine makes a line of so many places, those being checked among them.
func NewLine(places int) *Line {
	return &Line{places: make(chan struct{}, places), front: make(chan struct{}, 1)}
}

// VerifyPassword reports whether a password is the one that was hashed. The error
// is ErrBusy when the line is full, and that of ctx when it ends first; then
// nothing was checked.
func (l *Line) VerifyPassword(ctx context.Context, password, hash string) (bool, error) {
	if TooLong(password) {
		return false, nil
	}
	select {
	case l.places <- struct{}{}:
		defer func() { <-l.places }()
	default:
		return false, ErrBusy
	}
	if err := l.awaitTurn(ctx); err != nil {
		return false, err
	}
	defer func() { <-hashing }()
	match, err := argon2id.ComparePasswordAndHash(password, hash)
	return err == nil && match, nil
}

// awaitTurn takes one of the places in hashing.
func (l *Line) awaitTurn(ctx context.Context) error {
	select {
	case l.front <- struct{}{}:
		defer func() { <-l.front }()
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case hashing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// dummyHash is of a password that nobody knows.
var dummyHash = sync.OnceValue(func() string {
	hash, err := HashPassword(rand.Text())
	if err != nil {
		panic(err) // only when the system has no randomness
	}
	return hash
})

// DummyVerify does the work of VerifyPassword for a user that does not exist, so
// that the time of an answer does not tell who does.
func (l *Line) DummyVerify(ctx context.Context, password string) error {
	_, err := l.VerifyPassword(ctx, password, dummyHash())
	return err
}

const (
	keyPrefix  = "pb_" // lets people and scanners of leaked secrets know a key when they see one
	keyLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	keyLength  = 32 // letters after the prefix: 190 bits
)

// NewKey draws an ingest key: "pb_" and 32 letters and digits.
func NewKey() string {
	key := []byte(keyPrefix)
	for len(key) < len(keyPrefix)+keyLength {
		for _, b := range NewSecret(keyLength) {
			// Bytes past the last multiple of 62 would favour the first letters.
			if int(b) < 256/len(keyLetters)*len(keyLetters) && len(key) < len(keyPrefix)+keyLength {
				key = append(key, keyLetters[int(b)%len(keyLetters)])
			}
		}
	}
	return string(key)
}

// HashKey gives what is kept of a key. One pass of SHA-256 is enough for what
// cannot be guessed to begin with.
func HashKey(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

// NewSecret draws n random bytes.
func NewSecret(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, by its documentation
	return b
}
