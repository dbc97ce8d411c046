package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// hostileCmd attacks a server, one attack after the other, while others use it.
type hostileCmd struct {
	Binary  string        `help:"The pulseboard to attack." default:"bin/pulseboard" type:"path"`
	Viewers int           `help:"Streams of the others." default:"1000"`
	Rooms   int           `help:"Views of one board that they share; each has an event every 6 s, in turn." default:"2"`
	Quiet   time.Duration `help:"How long the others are alone, before and after, to compare with." default:"16s"`
	For     time.Duration `help:"How long most attacks last." default:"15s"`
	Memory  string        `help:"--view-memory of the server." default:"256MiB"`
	Ceiling float64       `help:"MiB over the start at which a server is killed and its attack ends." default:"2048"`
	Only    string        `help:"Run these attacks only, separated by commas."`
	List    bool          `help:"Print the names of the attacks and what they do, and end."`
	JSON    bool          `help:"Print the table as JSON."`

	ctx   context.Context
	bench *hostileBench
}

// attack is one way to harm a server.
type attack struct {
	name, what string
	// run attacks until ctx ends, with a bounded number of requests under way.
	run func(ctx context.Context, t *target, got *tally) error
	// longer is how much longer it lasts than others: some do their harm later.
	longer time.Duration
}

var attacks = []attack{
	{name: "views-embed", what: "snapshots of a board of 5 widgets with an embed token, from and to shifted each time, 4 at once", run: snapshotsOfShiftedRanges},
	{name: "views-pages", what: "the same as pages of a signed-in viewer", run: pagesOfShiftedRanges},
	{name: "views-streams", what: "streams of shifted ranges, opened and closed, 4 at once", run: streamsOfShiftedRanges},
	{name: "views-future", what: "100 streams of ranges that end in the future, while 30,000 events with new paths and users come in", run: futureOfAttacked, longer: 5 * time.Second},
	{name: "views-fresh", what: "the same of a tenant that has no events yet", run: futureOfFresh, longer: 11 * time.Second},
	{name: "views-wide", what: "100 lines by a property of 300,000 values, and a table of 1,000 groups, of shifted ranges", run: wideBoards},
	{name: "variables", what: "snapshots with values of 900 KB and of 1,900 characters, each another", run: distinctVariables},
	{name: "cursors", what: "streams of one address, each with another cursor made up from a true one", run: inventedCursors},
	{name: "sign-in", what: "50 wrong guesses a second for one account, e-mail addresses of 60 KB, other cases of the address", run: guessPasswords},
	{name: "slow", what: "192 senders of a byte a second, with a key, without one, and to pages; half-closed and cut requests", run: sendSlowly},
	{name: "bombs", what: "gzip and zstd bombs of 8 senders at once", run: sendBombs},
	{name: "names", what: "300,000 names of events, properties, groups and users, while boards by those are open", run: sendNames},
}

// quiet is the name of the run without an attack.
const quiet = "quiet"

// Run prints the table, and fails where a bound was missed.
func (cmd *hostileCmd) Run(ctx context.Context) error {
	if cmd.List {
		for _, a := range attacks {
			fmt.Printf("%s\t%s\n", a.name, a.what)
		}
		return nil
	}
	chosen, err := choose(cmd.Only)
	if err != nil {
		return err
	}
	if err := allowFiles(); err != nil {
		return err
	}
	cmd.ctx = ctx
	say("seeding")
	if cmd.bench, err = newHostileBench(ctx, cmd.Binary, cmd.Memory); err != nil {
		return err
	}
	defer cmd.bench.close()
	rows, err := cmd.all(chosen)
	if err != nil {
		return err
	}
	if cmd.JSON {
		write := json.NewEncoder(os.Stdout)
		write.SetIndent("", "  ")
		err = write.Encode(rows)
	} else {
		printHostile(os.Stdout, rows)
	}
	if missed := missedRows(rows); err == nil && len(missed) > 0 {
		return fmt.Errorf("a bound was missed under %s", strings.Join(missed, ", "))
	}
	return err
}

// choose returns the attacks of these names, or all of them when no name is given.
func choose(only string) ([]attack, error) {
	if only == "" {
		return attacks, nil
	}
	var chosen []attack
	for name := range strings.SplitSeq(only, ",") {
		if name == quiet { // it always runs
			continue
		}
		i := slices.IndexFunc(attacks, func(a attack) bool { return a.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no attack is called %q: see --list", name)
		}
		chosen = append(chosen, attacks[i])
	}
	return chosen, nil
}

// all runs the attacks, with a quiet run before and after them. The others' pace is compared
// with both quiet runs together, for the machine may be busier later than at first.
func (cmd *hostileCmd) all(chosen []attack) (rows []hostileRow, err error) {
	alone := func(name string) attack {
		return attack{name: name, run: func(context.Context, *target, *tally) error { return nil }}
	}
	var usual pace
	for _, a := range slices.Concat([]attack{alone(quiet)}, chosen, []attack{alone(quiet + " again")}) {
		lasts, isQuiet := cmd.For+a.longer, strings.HasPrefix(a.name, quiet)
		if isQuiet {
			lasts = cmd.Quiet
		}
		r, err := cmd.under(a, lasts)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.name, err)
		}
		if isQuiet {
			usual.ticks, usual.waits = append(usual.ticks, r.ticks...), append(usual.waits, r.MembersWait)
		}
		r.compare(usual, hostileBounds)
		rows = append(rows, r)
		say("%s", r.line())
	}
	for i := range rows {
		rows[i].compare(usual, hostileBounds)
	}
	return rows, nil
}

// warming is how long the others are at work before an attack begins: long enough for
// each view to have been quiet for a cadence.
const warming = 6 * time.Second

// under runs an attack on a server of its own, and measures the harm to the others.
func (cmd *hostileCmd) under(a attack, lasts time.Duration) (row hostileRow, err error) {
	t, err := cmd.bench.start(cmd.ctx)
	if err != nil {
		return row, err
	}
	defer t.close()
	o, err := newBystanders(t, cmd.Viewers, cmd.Rooms)
	if err != nil {
		return row, err
	}
	defer o.close()
	working, stop := context.WithCancel(cmd.ctx)
	defer stop()
	o.work(working)
	time.Sleep(warming)

	o.begin()
	m := watchMemory(t.cmd.Process.Pid)
	got := newTally()
	attacking, cancel := context.WithTimeout(cmd.ctx, lasts)
	defer cancel()
	m.above(cmd.Ceiling, func() {
		o.end() // requests that fail from now on fail because the server is killed
		_ = t.cmd.Process.Kill()
		cancel()
	})
	began, served, own := time.Now(), t.cpu(), ownCPU()
	if err := a.run(attacking, t, got); err != nil && attacking.Err() == nil {
		return row, err
	}
	<-attacking.Done()
	row = hostileRow{Attack: a.name, Seconds: time.Since(began).Seconds()}
	row.OwnCores = (ownCPU() - own).Seconds() / row.Seconds
	row.ServerCores = max(0, (t.cpu()-served).Seconds()/row.Seconds)
	stop()
	o.finish()
	o.end()
	row.memory, row.Killed = m.stop(), m.reached()
	o.report(&row)
	row.Ended = t.end() == nil
	size, err := t.size(cmd.ctx)
	row.Grown, row.Accepted, row.Attacker, row.FalseYes = size-cmd.bench.bytes, got.accepted.Load()+o.accepted.Load(), got.byLabel(), int(got.falseYes.Load())
	return row, err
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
