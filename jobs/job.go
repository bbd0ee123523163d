package jobs

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
	"unicode/utf8"
)

// Level is how much a submitter wants an answer checked (DESIGN §3, Levels).
type Level uint8

const (
	// Trusted asks for one vote, only from peers that the submitter names.
	Trusted Level = 1
	// Standard asks for two votes, gathered by keepers alone.
	Standard Level = 2
	// Strong asks for votes until the submitter's own record of each donor makes an error
	// less likely than one in a million.
	Strong Level = 3
	// Paranoid asks for seven unanimous, independent votes from seven networks.
	Paranoid Level = 4
)

var levelNames = map[Level]string{Trusted: "trusted", Standard: "standard", Strong: "strong", Paranoid: "paranoid"}

// String is the level's name on the command line.
func (l Level) String() string { return levelNames[l] }

// Votes is how many replicas a unit is given at first.
func (l Level) Votes() uint8 {
	switch l {
	case Trusted:
		return 1
	case Paranoid:
		return ParanoidVotes
	}
	return 2
}

// ParseLevel reads the name of a level.
func ParseLevel(s string) (Level, error) {
	for l, name := range levelNames {
		if name == s {
			return l, nil
		}
	}
	return 0, fmt.Errorf("unknown level %.40q: trusted, standard, strong or paranoid", s)
}

// Profile says by which rules a job's program is prepared and run: rewriter, WASI and tuple
// versions together. A worker claims only profiles that it has.
type Profile uint8

// Limits are what one input may use. All but CPU are the same for every replica.
type Limits struct {
	_      struct{} `cbor:",toarray"`
	Memory uint64   // bytes of linear memory
	Output uint64   // bytes of standard output
	Fuel   uint64   // instructions; 0 in profile 0, which does not count them
	CPU    uint64   // milliseconds of the donor's CPU; more is "gave up", not a result
}

// Policy is how results become answers.
type Policy struct {
	_     struct{} `cbor:",toarray"`
	Level Level
	Votes uint8    // equal votes that make an answer
	Trust []NodeID // at Trusted: whose word is enough
	Lease uint32   // seconds a claim lasts without renewal
}

// NamedBlob is a data file that every input of a job sees.
type NamedBlob struct {
	_    struct{} `cbor:",toarray"`
	Name string
	Blob Blob
}

// Head is a job as its submitter states it once. Times are Unix seconds.
type Head struct {
	_           struct{} `cbor:",toarray"`
	Version     uint8
	Network     string
	Submitter   NodeID
	Nonce       [16]byte // makes a second job of the same content another job
	Created     int64
	Expires     int64
	Name        string
	Description string
	Program     Blob
	Profile     Profile
	Args        []string
	Data        []NamedBlob
	Limits      Limits
	Policy      Policy
	Seed        uint64
	Inputs      uint64
	Units       uint32
	UnitTime    uint32 // estimated milliseconds of CPU a unit; 0: unknown
	Root        Digest // of the tree over the shard manifests
}

// What a head may say at most.
const (
	HeadVersion   = 1
	MaxHead       = 16 << 10
	UnitsPerShard = 1024
	MaxUnits      = 1 << 26
	MaxInputs     = 1 << 40
	MaxUnitInputs = 4096
	MaxMemory     = 1 << 30
	MaxOutput     = 16 << 30
	MaxArgs       = 256
	MaxName       = 100
	MaxVotes      = 8            // revealed votes of a unit before keepers grant no more
	ParanoidVotes = 7            // from as many networks
	MaxTrust      = 64           // peers whose word is enough
	MaxSeals      = 4 * MaxVotes // of others that a reveal names
	MaxLife       = 90 * 24 * time.Hour
	MinLease      = 5 * time.Second
	MaxLease      = time.Hour
	MaxCPU        = 24 * time.Hour
	MaxNetwork    = 64
)

// What a head says where its submitter wishes nothing else.
const (
	DefaultLife  = 14 * 24 * time.Hour
	DefaultLease = 2 * time.Minute
)

// SignedHead is a head with its submitter's signature.
type SignedHead struct {
	_    struct{} `cbor:",toarray"`
	Body []byte
	Sig  [ed25519.SignatureSize]byte
}

const (
	headDomain = "shoal/head/1\x00"
	jobDomain  = "shoal/job/1\x00"
)

// Job is an opened head: checked, with its id.
type Job struct {
	ID     JobID
	Head   Head
	Signed SignedHead
}

// Signer signs as one node.
type Signer interface {
	ID() NodeID
	Sign(message []byte) []byte
}

// SignHead validates a head and signs it.
func SignHead(h Head, s Signer) (*Job, error) {
	if err := h.Validate(); err != nil {
		return nil, err
	}
	body := Encode(h)
	sh := SignedHead{Body: body}
	copy(sh.Sig[:], s.Sign(append([]byte(headDomain), body...)))
	return OpenHead(Encode(sh), h.Network)
}

// OpenHead decodes a signed head and checks everything in it that can be checked alone:
// encoding, sizes, ranges, network and signature.
func OpenHead(b []byte, network string) (*Job, error) {
	var sh SignedHead
	if err := Decode(b, MaxHead, &sh); err != nil {
		return nil, err
	}
	j := &Job{ID: JobID(Sum([]byte(jobDomain), sh.Body)), Signed: sh}
	if err := Decode(sh.Body, MaxHead, &j.Head); err != nil {
		return nil, err
	}
	if err := j.Head.Validate(); err != nil {
		return nil, err
	}
	if j.Head.Network != network {
		return nil, fmt.Errorf("job of network %q, not %q", j.Head.Network, network)
	}
	if !ed25519.Verify(j.Head.Submitter[:], append([]byte(headDomain), sh.Body...), sh.Sig[:]) {
		return nil, fmt.Errorf("job head: %w", ErrSignature)
	}
	return j, nil
}

// Bytes is the signed head as it is stored and sent.
func (j *Job) Bytes() []byte { return Encode(j.Signed) }

// Shards is the number of shards the job's units fall into.
func (h *Head) Shards() uint32 { return (h.Units + UnitsPerShard - 1) / UnitsPerShard }

// ShardUnits is the number of units in the given shard.
func (h *Head) ShardUnits(shard uint32) int {
	if shard >= h.Shards() {
		return 0
	}
	return int(min(h.Units-shard*UnitsPerShard, UnitsPerShard))
}

// LeaseTime is how long a claim lasts without renewal.
func (h *Head) LeaseTime() time.Duration { return time.Duration(h.Policy.Lease) * time.Second }

// Validate checks every bound of a head.
func (h *Head) Validate() error {
	switch {
	case h.Version != HeadVersion:
		return fmt.Errorf("job head of version %d; this shoal knows %d: upgrade", h.Version, HeadVersion)
	case h.Network == "" || len(h.Network) > MaxNetwork:
		return errors.New("network name empty or too long")
	case h.Inputs == 0 || h.Inputs > MaxInputs || h.Units == 0 || h.Units > MaxUnits || uint64(h.Units) > h.Inputs:
		return fmt.Errorf("%d inputs in %d units: out of range", h.Inputs, h.Units)
	case h.Expires <= h.Created || h.Expires-h.Created > int64(MaxLife/time.Second):
		return errors.New("expires before it was created, or more than 90 days later")
	case len(h.Args) > MaxArgs || len(h.Data) > MaxArgs:
		return errors.New("too many arguments or data files")
	case h.Program.Size == 0 || h.Program.Size > MaxBlob:
		return errors.New("no program")
	}
	if err := validText(h.Name, MaxName); err != nil {
		return fmt.Errorf("job name: %w", err)
	}
	if len(h.Description) > 1000 || !utf8.ValidString(h.Description) {
		return errors.New("description too long or not text")
	}
	seen := map[string]bool{}
	for _, d := range h.Data {
		if err := ValidBase(d.Name); err != nil {
			return fmt.Errorf("data file: %w", err)
		}
		if seen[d.Name] {
			return fmt.Errorf("two data files are called %q", d.Name)
		}
		seen[d.Name] = true
	}
	if err := h.Limits.validate(); err != nil {
		return err
	}
	return h.Policy.validate()
}

func (l *Limits) validate() error {
	switch {
	case l.Memory < 1<<16 || l.Memory > MaxMemory:
		return fmt.Errorf("memory limit of %d bytes: from 64 KiB to 1 GiB", l.Memory)
	case l.Output > MaxOutput:
		return fmt.Errorf("output limit of %d bytes: at most 16 GiB", l.Output)
	case l.CPU == 0 || l.CPU > uint64(MaxCPU/time.Millisecond):
		return errors.New("time limit: from 1 ms to 24 h of CPU")
	}
	return nil
}

func (p *Policy) validate() error {
	lease := time.Duration(p.Lease) * time.Second
	switch {
	case p.Level < Trusted || p.Level > Paranoid:
		return fmt.Errorf("unknown level %d", p.Level)
	case p.Votes == 0 || p.Votes > MaxVotes:
		return fmt.Errorf("%d votes: from 1 to %d", p.Votes, MaxVotes)
	case p.Votes < p.Level.Votes(), p.Level != Strong && p.Votes > p.Level.Votes():
		return fmt.Errorf("%d votes do not fit level %s", p.Votes, p.Level)
	case len(p.Trust) > MaxTrust:
		return fmt.Errorf("more than %d trusted peers", MaxTrust)
	case lease < MinLease || lease > MaxLease:
		return fmt.Errorf("lease of %s: from %s to %s", lease, MinLease, MaxLease)
	}
	return nil
}

// ValidBase checks a name that a guest sees as one file in a folder.
func ValidBase(s string) error {
	if s == "" || len(s) > 255 || s == "." || s == ".." || strings.ContainsAny(s, "/\\\x00") || !utf8.ValidString(s) {
		return fmt.Errorf("%.80q cannot be a file name", s)
	}
	return nil
}

// ValidPath checks a relative path that stays below its folder.
func ValidPath(s string) error {
	if s == "" || len(s) > 1024 || path.IsAbs(s) || path.Clean(s) != s || s == ".." ||
		strings.HasPrefix(s, "../") || strings.ContainsAny(s, "\\\x00") || !utf8.ValidString(s) {
		return fmt.Errorf("%.80q is not a relative path", s)
	}
	return nil
}
