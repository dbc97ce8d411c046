//go:build duckdb

package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"os"

	"github.com/duckdb/duckdb-go/v2"

	"pulseboard/store"
)

func init() {
	others = append(others, otherWay{"DuckDB", 20, "quantile_cont(duration_ms, 0.95)", loadDuckDB})
}

func loadDuckDB(cmd *metricsCmd, from *keep, path string) (*sql.DB, error) {
	_, missing := os.Stat(path)
	connector, err := duckdb.NewConnector(path, nil)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	if missing == nil {
		return db, nil
	}
	if _, err := db.Exec(plainTable); err != nil {
		return nil, err
	}
	conn, err := connector.Connect(context.Background())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	appender, err := duckdb.NewAppenderFromConn(conn, "", "events")
	if err != nil {
		return nil, err
	}
	defer appender.Close()
	values := make([]driver.Value, 7)
	_, err = from.ScanEvents(cmd.ctx, from.tenant, store.Scan{}, func(e *store.Event) error {
		for i, v := range plainRow(e) {
			values[i] = v
		}
		return appender.AppendRow(values...)
	})
	if err != nil {
		return nil, err
	}
	return db, appender.Flush()
}
