package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"pulseboard/store"
	"pulseboard/store/boardfile"
	"pulseboard/store/secret"
	"pulseboard/store/sqlite"
	"pulseboard/store/token"
)

type tenantCmd struct {
	Create    tenantCreateCmd    `cmd:"" help:"Create a tenant and print its slug."`
	Retention tenantRetentionCmd `cmd:"" help:"Say how long a tenant's data is kept, and print it."`
}

type tenantCreateCmd struct {
	Slug string `arg:"" help:"Short name: a-z, 0-9 and '-'."`
	Name string `help:"Name as shown to people; default: the slug." env:"PULSEBOARD_NAME"`
}

func (cmd *tenantCreateCmd) Run(c *console, flags *cli) error {
	slug, err := store.ParseSlug(cmd.Slug)
	if err != nil {
		return usageError{err}
	}
	st, err := flags.open(c.ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	name := cmd.Name
	if name == "" {
		name = cmd.Slug
	}
	if _, err := st.CreateTenant(c.ctx, slug, name, false); err != nil {
		if errors.Is(err, store.ErrExists) {
			return fmt.Errorf("tenant %s already exists: choose another slug", slug)
		}
		return err
	}
	fmt.Fprintln(c.out, slug)
	return nil
}

type tenantRetentionCmd struct {
	Slug       string `arg:"" help:"Tenant whose data it is."`
	EventDays  int    `help:"Days that events are kept, from when they came in." env:"PULSEBOARD_EVENT_DAYS" placeholder:"DAYS"`
	RollupDays int    `help:"Days that what is counted of them is kept." env:"PULSEBOARD_ROLLUP_DAYS" placeholder:"DAYS"`
}

// Run changes what its flags say and leaves the rest.
func (cmd *tenantRetentionCmd) Run(c *console, flags *cli) error {
	st, tenant, err := openTenant(c, flags, cmd.Slug)
	if err != nil {
		return err
	}
	defer st.Close()
	r, err := st.Retention(c.ctx, tenant.ID)
	if err != nil {
		return err
	}
	if cmd.EventDays != 0 || cmd.RollupDays != 0 {
		r.EventDays, r.RollupDays = cmp.Or(cmd.EventDays, r.EventDays), cmp.Or(cmd.RollupDays, r.RollupDays)
		if err := r.Validate(); err != nil {
			return usageError{err}
		}
		if err := st.SetRetention(c.ctx, tenant.ID, r); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.out, "events %d days\nrollups %d days\n", r.EventDays, r.RollupDays)
	return nil
}

// openTenant opens the store and finds a tenant in it.
func openTenant(c *console, flags *cli, slugText string) (*sqlite.Store, store.Tenant, error) {
	slug, err := store.ParseSlug(slugText)
	if err != nil {
		return nil, store.Tenant{}, usageError{err}
	}
	st, err := flags.open(c.ctx)
	if err != nil {
		return nil, store.Tenant{}, err
	}
	tenant, err := st.Tenant(c.ctx, slug)
	if err != nil {
		st.Close()
		if errors.Is(err, store.ErrNotFound) {
			err = fmt.Errorf("there is no tenant %s: create it with 'pulseboard tenant create %s'", slug, slug)
		}
		return nil, store.Tenant{}, err
	}
	return st, tenant, nil
}

type userCmd struct {
	Create userCreateCmd `cmd:"" help:"Create a user and print its id."`
}

type userCreateCmd struct {
	Tenant        string `help:"Tenant the user belongs to." required:"" env:"PULSEBOARD_TENANT" placeholder:"SLUG"`
	Email         string `help:"Address the user signs in with." required:"" env:"PULSEBOARD_EMAIL"`
	Role          string `help:"viewer, editor or admin." required:"" env:"PULSEBOARD_ROLE"`
	PasswordStdin bool   `help:"Read the password from standard input, one line." required:"" env:"PULSEBOARD_PASSWORD_STDIN"`
}

func (cmd *userCreateCmd) Run(c *console, flags *cli) error {
	email, err := store.ParseEmail(cmd.Email)
	if err != nil {
		return usageError{err}
	}
	role, err := store.ParseRole(cmd.Role)
	if err != nil {
		return usageError{err}
	}
	password, err := readLine(c.in)
	if err != nil {
		return err
	}
	hash, err := secret.HashPassword(password)
	if err != nil {
		return usageError{err}
	}
	st, tenant, err := openTenant(c, flags, cmd.Tenant)
	if err != nil {
		return err
	}
	defer st.Close()
	id, err := st.CreateUser(c.ctx, tenant.ID, email, role, hash)
	if errors.Is(err, store.ErrExists) {
		return fmt.Errorf("user %s already exists in tenant %s", email, tenant.Slug)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, id)
	return nil
}

// readLine reads a password: one line, without its end.
func readLine(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password from standard input: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Create an ingest key and print it, once: only its hash is kept."`
}

type keyCreateCmd struct {
	Tenant string `help:"Tenant whose events the key lets in." required:"" env:"PULSEBOARD_TENANT" placeholder:"SLUG"`
	Name   string `help:"What the key is for." env:"PULSEBOARD_NAME"`
}

func (cmd *keyCreateCmd) Run(c *console, flags *cli) error {
	st, tenant, err := openTenant(c, flags, cmd.Tenant)
	if err != nil {
		return err
	}
	defer st.Close()
	key, err := st.CreateKey(c.ctx, tenant.ID, cmd.Name)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, key)
	return nil
}

type dashboardCmd struct {
	Apply  dashboardApplyCmd  `cmd:"" help:"Create or replace dashboards from YAML or JSON files, all or nothing, and print their ids."`
	Export dashboardExportCmd `cmd:"" help:"Print a dashboard as YAML, as apply reads it."`
}

type dashboardApplyCmd struct {
	Tenant string   `help:"Tenant the dashboards belong to." required:"" env:"PULSEBOARD_TENANT" placeholder:"SLUG"`
	Files  []string `arg:"" name:"file" help:"Dashboard files; - is standard input."`
}

func (cmd *dashboardApplyCmd) Run(c *console, flags *cli) error {
	var dashboards []store.Dashboard
	origin := map[store.DashboardID]string{}
	for _, file := range cmd.Files {
		data, err := readFile(c, file)
		if err != nil {
			return err
		}
		parsed, err := boardfile.Parse(file, data)
		if err != nil {
			return err
		}
		for _, d := range parsed {
			if first, twice := origin[d.ID]; twice {
				return fmt.Errorf("dashboard %s stands in %s and in %s: ids are unique, so rename one", d.ID, first, file)
			}
			origin[d.ID] = file
			dashboards = append(dashboards, d)
		}
	}
	st, tenant, err := openTenant(c, flags, cmd.Tenant)
	if err != nil {
		return err
	}
	defer st.Close()
	if err := st.ApplyDashboards(c.ctx, tenant.ID, dashboards); err != nil {
		return err
	}
	for _, d := range dashboards {
		fmt.Fprintln(c.out, d.ID)
	}
	return nil
}

// readFile reads a dashboard file, no further than tells that it is too large.
func readFile(c *console, file string) ([]byte, error) {
	in := c.in
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer opened.Close()
		in = opened
	}
	return io.ReadAll(io.LimitReader(in, boardfile.MaxSize+1)) // one more is too large
}

type dashboardExportCmd struct {
	Tenant string `help:"Tenant the dashboard belongs to." required:"" env:"PULSEBOARD_TENANT" placeholder:"SLUG"`
	ID     string `arg:"" help:"Id of the dashboard."`
}

func (cmd *dashboardExportCmd) Run(c *console, flags *cli) error {
	st, tenant, err := openTenant(c, flags, cmd.Tenant)
	if err != nil {
		return err
	}
	defer st.Close()
	d, err := findDashboard(c, st, tenant, cmd.ID)
	if err != nil {
		return err
	}
	text, err := boardfile.YAML(d)
	if err != nil {
		return err
	}
	_, err = c.out.Write(text)
	return err
}

func findDashboard(c *console, st *sqlite.Store, tenant store.Tenant, id string) (store.Dashboard, error) {
	d, err := st.Dashboard(c.ctx, tenant.ID, store.DashboardID(id))
	if errors.Is(err, store.ErrNotFound) {
		return d, fmt.Errorf("tenant %s has no dashboard %q: create it with 'pulseboard dashboard apply'", tenant.Slug, id)
	}
	return d, err
}

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Sign an embed token for one dashboard and print it."`
}

type tokenCreateCmd struct {
	Tenant    string            `help:"Tenant the dashboard belongs to." required:"" env:"PULSEBOARD_TENANT" placeholder:"SLUG"`
	Dashboard string            `help:"Id of the dashboard." required:"" env:"PULSEBOARD_DASHBOARD" placeholder:"ID"`
	TTL       time.Duration     `name:"ttl" help:"How long the token is valid, at most 24h." default:"1h" env:"PULSEBOARD_TTL"`
	Var       map[string]string `help:"Pin a variable: a viewer can't change it. May be repeated." env:"PULSEBOARD_VAR" placeholder:"NAME=VALUE" mapsep:"none"`
	Ancestor  []string          `help:"Origin that may frame the dashboard, such as https://example.com. May be repeated." env:"PULSEBOARD_ANCESTOR" placeholder:"ORIGIN"`
}

func (cmd *tokenCreateCmd) Run(c *console, flags *cli) error {
	if cmd.TTL <= 0 || cmd.TTL > token.MaxLife {
		return usageError{fmt.Errorf("--ttl %s is out of range: use more than 0 and at most %s", cmd.TTL, token.MaxLife)}
	}
	for i, origin := range cmd.Ancestor {
		parsed, err := token.ParseOrigin(origin)
		if err != nil {
			return usageError{err}
		}
		cmd.Ancestor[i] = parsed
	}
	st, tenant, err := openTenant(c, flags, cmd.Tenant)
	if err != nil {
		return err
	}
	defer st.Close()
	d, err := findDashboard(c, st, tenant, cmd.Dashboard)
	if err != nil {
		return err
	}
	vars := store.Vars{}
	for name, value := range cmd.Var {
		if vars[name] = []string{value}; len(d.Known(store.Vars{name: vars[name]})) == 0 {
			return usageError{fmt.Errorf("dashboard %s has no variable %q to pin", d.ID, name)}
		}
	}
	signing, err := st.SigningSecret(c.ctx, tenant.ID)
	if err != nil {
		return err
	}
	now := time.Now()
	signed, err := token.Sign(token.Claims{
		Tenant:    tenant.Slug,
		Dashboard: d.ID,
		IssuedAt:  now,
		Expires:   now.Add(cmd.TTL),
		Vars:      vars,
		Ancestors: cmd.Ancestor,
	}, signing.KID, signing.Secret)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, signed)
	return nil
}
