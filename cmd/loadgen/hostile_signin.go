package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"
)

// guessPasswords tries to get into an account, to lock its owner out, and to fill the
// server's memory of failed sign-ins. The owner is one of the others.
func guessPasswords(ctx context.Context, t *target, got *tally) error {
	const longest = 60 << 10 // bytes of an address; a form may have 64 KiB
	guesser, stuffer, mixer := clientAt(addressOfAttacker), clientAt(manyAddresses(0)), clientAt(manyAddresses(1))
	var all sync.WaitGroup
	all.Go(func() {
		steadily(ctx, 50, func(i int) {
			ask(ctx, got, "guess", func() (int, error) {
				status, _, err := t.signIn(ctx, guesser, owner, fmt.Sprint("guess ", i))
				return status, err
			})
		})
	})
	all.Go(func() {
		steadily(ctx, 20, func(i int) {
			ask(ctx, got, "long", func() (int, error) {
				status, _, err := t.signIn(ctx, stuffer, distinctText(i, longest)+"@example.com", "guess")
				return status, err
			})
		})
	})
	all.Go(func() {
		steadily(ctx, 20, func(i int) {
			ask(ctx, got, "case", func() (int, error) {
				status, _, err := t.signIn(ctx, mixer, otherCase(owner, i), "guess")
				return status, err
			})
		})
	})
	all.Wait()
	return nil
}

// otherCase writes the letters of a text in one of the mixtures of cases that there are.
func otherCase(text string, i int) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) {
			return r
		}
		upper := i&1 == 1
		if i >>= 1; upper {
			return unicode.ToUpper(r)
		}
		return unicode.ToLower(r)
	}, text)
}

// mostUnderWay bounds the requests that one kind of sender waits for at once.
const mostUnderWay = 64

// steadily does something so many times a second until ctx ends, whether the one before
// is done or not; when too many are not, it leaves one out.
func steadily(ctx context.Context, perSecond int, fn func(i int)) {
	var all sync.WaitGroup
	defer all.Wait()
	underWay := make(chan struct{}, mostUnderWay)
	every := time.NewTicker(time.Second / time.Duration(perSecond))
	defer every.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		select {
		case underWay <- struct{}{}:
			all.Go(func() {
				defer func() { <-underWay }()
				fn(i)
			})
		default:
		}
	}
}

// together lets n do something at once, and waits for all.
func together(n int, fn func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { fn(i) })
	}
	all.Wait()
}
