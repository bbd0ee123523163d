package jobs

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// validText checks words that strangers show on each other's terminals: one line of text that only
// shows, so nothing that moves a cursor, changes a colour or turns the line around.
func validText(s string, most int) error {
	if len(s) > most || !utf8.ValidString(s) {
		return fmt.Errorf("at most %d bytes of text", most)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) || unicode.Is(unicode.Bidi_Control, r) {
			return fmt.Errorf("%q has a control character", s)
		}
	}
	return nil
}

// MaxNodeName is the longest name of a node, in bytes.
const MaxNodeName = 40

// ValidNodeName checks what a node calls itself. Nothing says that the name is its own: it is shown
// beside the peer ID, never alone.
func ValidNodeName(s string) error {
	if s == "" || strings.TrimSpace(s) != s {
		return errors.New("a name is some text without spaces around it")
	}
	if strings.Contains(s, ",") || strings.HasPrefix(s, "12D3Koo") {
		return fmt.Errorf("%q could be taken for a list, or a peer ID", s)
	}
	return validText(s, MaxNodeName)
}
