package jobs

import (
	"crypto/ed25519"
	"strings"
	"testing"
)

type noticeKey struct{ ed25519.PrivateKey }

func (k noticeKey) ID() NodeID           { return NodeID(k.Public().(ed25519.PublicKey)) }
func (k noticeKey) Sign(m []byte) []byte { return ed25519.Sign(k.PrivateKey, m) }

func noticeSigner(b byte) noticeKey {
	return noticeKey{ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(b)), ed25519.SeedSize)))}
}

func notice(text string) Notice {
	return Notice{Version: NoticeVersion, Network: "test", Submitter: noticeSigner('a').ID(), At: 1_700_000_000, Text: text}
}

func TestNotice(t *testing.T) {
	raw, err := SignNotice(notice("paper published, thank you"), noticeSigner('a'))
	if err != nil {
		t.Fatal(err)
	}
	n, id, err := OpenNotice(raw, "test")
	if err != nil || n.Text != "paper published, thank you" || id.IsZero() {
		t.Fatalf("%+v, %v", n, err)
	}
	if _, _, err := OpenNotice(raw, "other"); err == nil {
		t.Error("a notice of another network was taken")
	}
	forged, err := SignNotice(notice("send me money"), noticeSigner('b')) // in a's name
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenNotice(forged, "test"); err == nil {
		t.Error("a notice that another signed was taken")
	}
	for i := range raw {
		bent := append([]byte(nil), raw...)
		bent[i] ^= 1
		if _, _, err := OpenNotice(bent, "test"); err == nil {
			t.Fatalf("byte %d can be changed", i)
		}
	}
	for name, text := range map[string]string{
		"empty": " ", "long": strings.Repeat("x", MaxNoticeText+1), "escape": "a\x1b[2Jb", "two lines": "a\nb", "turned round": "a\u202eb", "no text": "a\xffb",
	} {
		if _, err := SignNotice(notice(text), noticeSigner('a')); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

// Whatever a stranger sends, a notice that opens shows as one line and no more.
func FuzzOpenNotice(f *testing.F) {
	raw, err := SignNotice(notice("thank you"), noticeSigner('a'))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{0x82, 0x40, 0x40})
	f.Fuzz(func(t *testing.T, b []byte) {
		n, _, err := OpenNotice(b, "test")
		if err == nil && (n.Text == "" || strings.ContainsAny(n.Text, "\n\r\x1b")) {
			t.Errorf("%q", n.Text)
		}
	})
}

func TestNodeNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"ada": true, "Ada Lovelace": true, "žofie": true, "": false, " ada": false, "a,b": false, "a\x1b[31m": false,
		"12D3KooWCQikXp7K": false, strings.Repeat("x", MaxNodeName+1): false, "a\u202eb": false,
	} {
		if err := ValidNodeName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
