package jobs

import (
	"slices"
	"testing"
)

// TestRamp: whoever waits has small units first; the count that is foretold is the one made.
func TestRamp(t *testing.T) {
	for _, c := range []struct {
		inputs  int64
		perUnit int
		want    []uint32
	}{
		{1, 8, []uint32{1}},
		{2, 8, []uint32{1, 1}},
		{20, 8, []uint32{1, 2, 4, 8, 5}},
		{20, 1, nil},
		{9000, 4096, []uint32{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 809}},
	} {
		var sizes []uint32
		s := Splitter{PerUnit: c.perUnit, Ramp: true, PutManifest: func(_ uint32, raw []byte) error {
			var m Manifest
			if err := Decode(raw, MaxManifest, &m); err != nil {
				return err
			}
			for _, u := range m.Units {
				sizes = append(sizes, u.Count)
			}
			return nil
		}}
		if err := s.AddRange(1, c.inputs); err != nil {
			t.Fatal(err)
		}
		var h Head
		if _, err := s.Finish(&h); err != nil {
			t.Fatal(err)
		}
		if c.want != nil && !slices.Equal(sizes, c.want) {
			t.Errorf("%d inputs, %d a unit: units of %v, want %v", c.inputs, c.perUnit, sizes, c.want)
		}
		if got := UnitCount(uint64(c.inputs), c.perUnit, true); got != uint64(len(sizes)) {
			t.Errorf("%d inputs, %d a unit: %d units foretold, %d made", c.inputs, c.perUnit, got, len(sizes))
		}
	}
}
