package main

import (
	"errors"
	"fmt"
	"io/fs"

	"pulseboard/store/sqlite"
)

type backupCmd struct {
	File string `arg:"" help:"File to write; it must not be there yet."`
}

// Run writes a copy of the data folder's database, also while a server uses it.
func (cmd *backupCmd) Run(c *console, flags *cli) error {
	st, err := flags.open(c.ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	err = st.Backup(c.ctx, cmd.File)
	if errors.Is(err, fs.ErrExist) {
		return usageError{fmt.Errorf("%s is there already: choose another name, so that no backup is lost", cmd.File)}
	}
	return err
}

type restoreCmd struct {
	File string `arg:"" help:"Backup to read."`
}

// Run puts a backup into the data folder. The database that was there is kept beside it.
func (cmd *restoreCmd) Run(c *console, flags *cli) error {
	kept, err := sqlite.Restore(c.ctx, flags.Data, cmd.File)
	if kept != "" {
		fmt.Fprintf(c.err, "The database that was there is kept as %s.\n", kept)
	}
	return err
}
