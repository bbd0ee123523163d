package jobs

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
)

// Notice is a word of a submitter to those who work for it: "paper published, thank you".
type Notice struct {
	_         struct{} `cbor:",toarray"`
	Version   uint8
	Network   string
	Submitter NodeID
	At        int64 // Unix seconds
	Job       JobID // that it is about; zero: all of them
	Text      string
}

// What a notice may say at most.
const (
	NoticeVersion = 1
	MaxNotice     = 2 << 10 // encoded and signed
	MaxNoticeText = 1 << 10
)

// SignedNotice is a notice with its submitter's signature.
type SignedNotice struct {
	_    struct{} `cbor:",toarray"`
	Body []byte
	Sig  [ed25519.SignatureSize]byte
}

const noticeDomain = "shoal/notice/1\x00"

// SignNotice checks a notice and signs it.
func SignNotice(n Notice, s Signer) ([]byte, error) {
	if err := n.validate(); err != nil {
		return nil, err
	}
	signed := SignedNotice{Body: Encode(n)}
	copy(signed.Sig[:], s.Sign(append([]byte(noticeDomain), signed.Body...)))
	return Encode(signed), nil
}

// OpenNotice decodes a signed notice and checks it; id names it.
func OpenNotice(b []byte, network string) (n *Notice, id Digest, err error) {
	var signed SignedNotice
	if err := Decode(b, MaxNotice, &signed); err != nil {
		return nil, id, err
	}
	n = new(Notice)
	if err := Decode(signed.Body, MaxNotice, n); err != nil {
		return nil, id, err
	}
	if err := n.validate(); err != nil {
		return nil, id, err
	}
	if n.Network != network {
		return nil, id, fmt.Errorf("notice of network %q, not %q", n.Network, network)
	}
	if !ed25519.Verify(n.Submitter[:], append([]byte(noticeDomain), signed.Body...), signed.Sig[:]) {
		return nil, id, errors.New("notice: bad signature")
	}
	return n, Sum([]byte(noticeDomain), signed.Body), nil
}

func (n *Notice) validate() error {
	switch {
	case n.Version != NoticeVersion:
		return fmt.Errorf("notice of version %d; this shoal knows %d", n.Version, NoticeVersion)
	case n.Network == "" || len(n.Network) > MaxNetwork:
		return errors.New("network name empty or too long")
	case n.Submitter.IsZero() || n.At <= 0:
		return errors.New("notice of nobody, or of no time")
	case strings.TrimSpace(n.Text) == "":
		return errors.New("notice without a word")
	}
	if err := validText(n.Text, MaxNoticeText); err != nil {
		return fmt.Errorf("notice: %w", err)
	}
	return nil
}
