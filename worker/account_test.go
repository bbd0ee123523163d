package worker

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoalgrid/shoal/internal/strand"
	"github.com/shoalgrid/shoal/jobs"
	"github.com/shoalgrid/shoal/jobs/disk"
)

// pairs is a disk in memory.
type pairs map[string][]byte

func (p pairs) Get(k []byte) ([]byte, bool, error) { v, ok := p[string(k)]; return v, ok, nil }

func (p pairs) Put(_ context.Context, kvs ...disk.Pair) error {
	for _, kv := range kvs {
		p[string(kv.Key)] = kv.Value
	}
	return nil
}

func (p pairs) Delete(_ context.Context, keys ...[]byte) error {
	for _, k := range keys {
		delete(p, string(k))
	}
	return nil
}

func (p pairs) Scan(prefix []byte, f func(key, value []byte) error) error {
	var keys []string
	for k := range p {
		if strings.HasPrefix(k, string(prefix)) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if err := f([]byte(k), p[k]); err != nil {
			return err
		}
	}
	return nil
}

func (p pairs) DeletePrefix(context.Context, []byte) error { return nil }

func submitterOf(n int) (id jobs.NodeID) {
	binary.BigEndian.PutUint32(id[:], uint32(n)+1)
	return id
}

// entered puts one result for a submitter into an account.
func entered(t *testing.T, a *account, submitter int, f fate, change func(*result)) {
	t.Helper()
	r := &result{Submitter: submitterOf(submitter), Inputs: 10, CPU: 1500}
	if change != nil {
		change(r)
	}
	if err := a.enter(t.Context(), []*result{r}, func(*result) fate { return f }); err != nil {
		t.Fatal(err)
	}
}

// What became of results adds up by day and submitter, once; own jobs are nobody's business.
func TestAccount(t *testing.T) {
	m := strand.NewLoop(1).Machine(0, 0)
	d := pairs{}
	w := &Worker{account: newAccount(d, m)}
	entered(t, w.account, 1, accepted, nil)
	entered(t, w.account, 1, disagreed, nil)
	entered(t, w.account, 1, accepted, func(r *result) { r.GaveUp = true })
	entered(t, w.account, 2, unused, nil)
	entered(t, w.account, 2, accepted, func(r *result) { r.Own = true })
	entered(t, w.account, 2, accepted, func(r *result) { r.Entered = true })
	today := m.Date() / daySeconds
	m.Jump(24 * time.Hour)
	entered(t, w.account, 1, accepted, nil)
	got, err := w.Account()
	if err != nil {
		t.Fatal(err)
	}
	want := []Dealing{
		{Day: today, Submitter: submitterOf(1), CPU: 4500 * time.Millisecond, Units: 3, Inputs: 30, Accepted: 1, Disagreed: 1, GaveUp: 1},
		{Day: today, Submitter: submitterOf(2), CPU: 1500 * time.Millisecond, Units: 1, Inputs: 10, Unused: 1},
		{Day: today + 1, Submitter: submitterOf(1), CPU: 1500 * time.Millisecond, Units: 1, Inputs: 10, Accepted: 1},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v\nnot\n%+v", got, want)
	}
}

// However many submitters and days there are, an account stays small, and loses no unit.
func TestAccountIsBounded(t *testing.T) {
	m := strand.NewLoop(1).Machine(0, 0)
	w := &Worker{account: newAccount(pairs{}, m)}
	const days, each = 120, submittersADay + 20
	for day := range days {
		m.Jump(time.Duration(day) * 24 * time.Hour)
		for s := range each {
			entered(t, w.account, day*each+s, accepted, nil)
		}
	}
	rows, err := w.Account()
	if err != nil {
		t.Fatal(err)
	}
	perDay, units := map[int64]int{}, int64(0)
	for _, r := range rows {
		perDay[r.Day]++
		units += r.Units
	}
	if units != days*each {
		t.Errorf("%d units, not %d", units, days*each)
	}
	if len(perDay) > accountDays+1 || perDay[0] > submittersEarlier+1 {
		t.Errorf("%d days, %d submitters of earlier days", len(perDay), perDay[0])
	}
	for day, n := range perDay {
		if day > 0 && n > submittersADay+1 {
			t.Errorf("day %d: %d submitters", day, n)
		}
	}
}
