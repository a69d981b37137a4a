package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"sync"
)

var (
	errDown      = errors.New("memory: connection refused")
	errDuplicate = errors.New("memory: duplicate key")
)

// memory is a database/sql driver with two tables and two statements: as little as it
// takes to be a database that can go down.
type memory struct {
	mu        sync.Mutex
	customers map[int64]string
	invoices  map[int64]int64 // invoice → customer
	failures  int             // how many calls are still to fail
}

func newMemory(customers map[int64]string) *memory {
	return &memory{customers: customers, invoices: map[int64]int64{}}
}

func (m *memory) failNext(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures = n
}

// down must be called with mu locked.
func (m *memory) down() bool {
	if m.failures > 0 {
		m.failures--
		return true
	}
	return false
}

// Connect and Driver make memory a driver.Connector.
func (m *memory) Connect(context.Context) (driver.Conn, error) { return connection{m}, nil }
func (m *memory) Driver() driver.Driver                        { return nil }

type connection struct{ *memory }

func (connection) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }
func (connection) Begin() (driver.Tx, error)           { return nil, errors.ErrUnsupported }
func (connection) Close() error                        { return nil }

// QueryContext finds a customer by id.
func (c connection) QueryContext(_ context.Context, _ string, args []driver.NamedValue) (driver.Rows, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down() {
		return nil, errDown
	}
	var found names
	if name, ok := c.customers[args[0].Value.(int64)]; ok {
		found = append(found, name)
	}
	return &found, nil
}

// ExecContext writes an invoice.
func (c connection) ExecContext(_ context.Context, _ string, args []driver.NamedValue) (driver.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down() {
		return nil, errDown
	}
	invoice := args[0].Value.(int64)
	if _, ok := c.invoices[invoice]; ok {
		return nil, errDuplicate
	}
	c.invoices[invoice] = args[1].Value.(int64)
	return driver.RowsAffected(1), nil
}

// names are the rows of a result with one column.
type names []string

func (*names) Columns() []string { return []string{"name"} }
func (*names) Close() error      { return nil }

func (n *names) Next(dest []driver.Value) error {
	if len(*n) == 0 {
		return io.EOF
	}
	dest[0], *n = (*n)[0], (*n)[1:]
	return nil
}
