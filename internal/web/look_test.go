package web_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/shoalgrid/shoal/internal/web"
)

// TestOddPages has a browser show pages in states that a grid takes hours or bad luck to get into.
// They must fit a phone, and nothing in them may lie over something else.
func TestOddPages(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	b := open(t)
	server := httptest.NewServer(web.OddSite(t))
	defer server.Close()
	for _, path := range web.OddPages() {
		b.visit(server.URL+path, "main h1")
		name := "odd-" + strings.ReplaceAll(strings.Trim(path, "/"), "/", "-")
		b.shoot(strings.TrimSuffix(name, "-"))
		for _, width := range []int64{390, 1280} {
			b.look(width, 900, "light")
			over := js[[]string](b, overflowing)
			if len(over) > 0 {
				t.Errorf("%s at %d pixels: too long for their places: %q", path, width, over)
			}
		}
	}
	b.calm()
	t.Logf("screenshots are in %s", b.shots)
}

// overflowing are the elements whose words stand out of them.
var overflowing = fmt.Sprintf(`Array.from(document.querySelectorAll(%q))
	.filter(e => e.offsetParent !== null && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === "visible" && getComputedStyle(e).display !== "inline")
	.map(e => e.tagName + " " + e.innerText.slice(0, 60))`, "main *:not(svg *):not(.quiet)")
