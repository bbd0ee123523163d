package jobs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// A unit is at most this much estimated work, and at most this share of what each core of the
// grid as known would get of the job, so that cores finish together.
const (
	UnitWork     = time.Minute
	unitsPerCore = 4
)

// UnitInputs is how many inputs a unit should have: the smallest of a minute's work, a quarter
// of the job's cost per core, and MaxUnitInputs; never 0. perInput is the estimated CPU time of
// one input, 0 when it is not known.
func UnitInputs(inputs uint64, perInput time.Duration, cores int) int {
	n := inputs / uint64(unitsPerCore*max(cores, 1))
	if perInput > 0 {
		n = min(n, uint64(UnitWork/perInput))
	}
	return int(min(max(n, 1), MaxUnitInputs))
}

// UnitCount is how many units a Splitter makes of inputs whose packs are all small.
func UnitCount(inputs uint64, perUnit int, ramp bool) (units uint64) {
	s := Splitter{PerUnit: perUnit, Ramp: ramp}
	for left := inputs; left > 0 && s.room() < perUnit; s.units++ {
		left -= min(left, uint64(s.room()))
		inputs, units = left, units+1
	}
	return units + (inputs+uint64(perUnit)-1)/uint64(perUnit)
}

// Splitter cuts a job's inputs, given one by one in order, into units and shards.
type Splitter struct {
	// PerUnit is how many inputs a unit has at most.
	PerUnit int
	// Ramp lets the first units be smaller, 1 input, then 2, 4, …, up to PerUnit: whoever waits
	// for the answers in order has the first ones soon, for a dozen units more.
	Ramp bool
	// PutPack stores a pack that is too large for its manifest.
	PutPack func(pack []byte) (Blob, error)
	// PutManifest stores a finished shard's manifest.
	PutManifest func(shard uint32, manifest []byte) error

	pack   []Input
	size   int
	shard  Manifest
	inputs uint64
	units  uint32
	leaves []Digest
}

// Add appends one input.
func (s *Splitter) Add(in Input) error {
	size := len(in.Data) + len(in.Name) + 64
	if len(s.pack) > 0 && (len(s.pack) >= s.room() || s.size+size > MaxPack-64) {
		if err := s.endUnit(); err != nil {
			return err
		}
	}
	s.pack = append(s.pack, in)
	s.size += size
	return nil
}

// room is how many inputs the unit that is being filled may have.
func (s *Splitter) room() int {
	if s.Ramp && s.units < 12 { // 1<<12 is MaxUnitInputs
		return min(s.PerUnit, 1<<s.units)
	}
	return s.PerUnit
}

func (s *Splitter) endUnit() error {
	if len(s.pack) == 0 {
		return nil
	}
	u := UnitSpec{Count: uint32(len(s.pack)), Source: FromInline}
	raw := Encode(s.pack)
	if len(raw) <= MaxInlinePack {
		u.Inline = raw
	} else {
		blob, err := s.PutPack(raw)
		if err != nil {
			return err
		}
		u.Source, u.Pack = FromBlob, blob
	}
	s.pack, s.size = s.pack[:0], 0
	return s.addUnit(u)
}

// AddRange appends the numbers first to last, both included, as inputs.
func (s *Splitter) AddRange(first, last int64) error {
	if err := s.endUnit(); err != nil {
		return err
	}
	for left := uint64(last) - uint64(first) + 1; left > 0; {
		n := min(left, uint64(s.room()))
		if err := s.addUnit(UnitSpec{Count: uint32(n), Source: FromRange, From: first}); err != nil {
			return err
		}
		left -= n
		first += int64(n)
	}
	return nil
}

func (s *Splitter) addUnit(u UnitSpec) error {
	if s.units == MaxUnits {
		return fmt.Errorf("more than %d units", MaxUnits)
	}
	s.shard.Units = append(s.shard.Units, u)
	s.inputs += uint64(u.Count)
	s.units++
	if len(s.shard.Units) == UnitsPerShard {
		return s.endShard()
	}
	return nil
}

func (s *Splitter) endShard() error {
	if len(s.shard.Units) == 0 {
		return nil
	}
	raw := Encode(s.shard)
	s.leaves = append(s.leaves, LeafOf(raw))
	if err := s.PutManifest(s.shard.Shard, raw); err != nil {
		return err
	}
	s.shard = Manifest{Shard: s.shard.Shard + 1, First: s.inputs}
	return nil
}

// Finish ends the last unit and shard and fills the head's Inputs, Units and Root. It returns
// the leaves of the tree over the manifests, from which their proofs are made.
func (s *Splitter) Finish(h *Head) ([]Digest, error) {
	if err := s.endUnit(); err != nil {
		return nil, err
	}
	if err := s.endShard(); err != nil {
		return nil, err
	}
	if s.inputs == 0 {
		return nil, errors.New("no inputs")
	}
	h.Inputs, h.Units, h.Root = s.inputs, s.units, Root(s.leaves)
	return s.leaves, nil
}

// MaxLine is the longest line that can be an input.
const MaxLine = MaxInlineInput

// Lines calls f with each line of r, without its end; a last line needs no end, an empty line
// is an input. Each line is a copy.
func Lines(r io.Reader, f func(line []byte) error) error {
	br := bufio.NewReaderSize(r, MaxLine+2)
	for n := 1; ; n++ {
		line, err := br.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("line %d is longer than %d bytes", n, MaxLine)
		case err == io.EOF && len(line) == 0:
			return nil
		case err != nil && err != io.EOF:
			return err
		}
		line = trimEnd(line)
		if len(line) > MaxLine {
			return fmt.Errorf("line %d is longer than %d bytes", n, MaxLine)
		}
		if ferr := f(append([]byte(nil), line...)); ferr != nil {
			return ferr
		}
		if err == io.EOF {
			return nil
		}
	}
}

func trimEnd(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
	}
	return line
}

// ParseRange reads "A..B", two integers with A not above B.
func ParseRange(s string) (first, last int64, err error) {
	a, b, ok := strings.Cut(s, "..")
	if ok {
		first, err = strconv.ParseInt(a, 10, 64)
		if err == nil {
			last, err = strconv.ParseInt(b, 10, 64)
		}
	}
	switch {
	case !ok || err != nil:
		return 0, 0, fmt.Errorf("range %.60q: two whole numbers, like 1..1000", s)
	case first > last:
		return 0, 0, fmt.Errorf("range %s: %d is above %d", s, first, last)
	case uint64(last)-uint64(first) >= MaxInputs || last == math.MaxInt64:
		return 0, 0, fmt.Errorf("range %s: too many inputs", s)
	}
	return first, last, nil
}
