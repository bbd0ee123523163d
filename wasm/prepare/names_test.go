package prepare

import (
	"bytes"
	"testing"
)

// Names, of which a few bytes claim that there are four billion, are gone; the rest is there byte for byte.
func TestWithoutNames(t *testing.T) {
	plain := encode(small([]funcType{{}}, nil), nil)
	claim := append(appendName(nil, "name"), functionNames, 5, 0xff, 0xff, 0xff, 0xff, 0x0f)
	for name, original := range map[string][]byte{
		"none":   plain,
		"at end": appendSection(bytes.Clone(plain), sectionCustom, claim),
		"first":  append(appendSection([]byte(magic), sectionCustom, claim), plain[len(magic):]...),
		"twice":  appendSection(appendSection(bytes.Clone(plain), sectionCustom, claim), sectionCustom, claim),
	} {
		t.Run(name, func(t *testing.T) {
			bare, err := WithoutNames(original)
			if err != nil || !bytes.Equal(bare, plain) {
				t.Errorf("%v: %x, want %x", err, bare, plain)
			}
		})
	}
	for _, broken := range [][]byte{nil, plain[:len(plain)-1], []byte("\x00asm"), append(bytes.Clone(plain), 0)} {
		if bare, err := WithoutNames(broken); err == nil {
			t.Errorf("%x became %x", broken, bare)
		}
	}
}
