package main

import (
	"bytes"
	"fmt"
	"image/color"
	"strings"
	"testing"
)

// text is a tile of 2 by 1 points, all of n steps, as mandelbrot prints it.
func text(number, of, n int) string {
	point := string([]byte{byte(n >> 8), byte(n)})
	return fmt.Sprintf("P5\n# tile %d of %d in 2 columns\n2 1\n1000\n%s", number, of, point+point)
}

func parse(t *testing.T, texts ...string) (tiles []tile) {
	t.Helper()
	for _, s := range texts {
		tile, err := parseTile(strings.NewReader(s))
		if err != nil {
			t.Fatal(err)
		}
		tiles = append(tiles, tile)
	}
	return tiles
}

func TestJoinInAnyOrder(t *testing.T) {
	picture, err := join(parse(t, text(2, 3, 1000), text(0, 3, 0), text(1, 3, 300)))
	if err != nil {
		t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size.X != 4 || size.Y != 2 {
		t.Errorf("picture of %v", size)
	}
	for at, want := range map[[2]int]color.RGBA{{0, 0}: colour(0, 1000), {2, 0}: colour(300, 1000), {1, 1}: {A: 255}, {3, 1}: {}} {
		if got := picture.At(at[0], at[1]); got != want {
			t.Errorf("point %v is %v, want %v", at, got, want)
		}
	}
}

func TestJoinRefuses(t *testing.T) {
	other := parse(t, text(1, 2, 0))
	other[0].width, other[0].steps = 1, other[0].steps[:2]
	for name, tiles := range map[string][]tile{
		"nothing":       nil,
		"one missing":   parse(t, text(0, 3, 0), text(2, 3, 0)),
		"last missing":  parse(t, text(0, 2, 0)),
		"one twice":     parse(t, text(0, 2, 0), text(0, 2, 0)),
		"two pictures":  parse(t, text(0, 2, 0), text(1, 3, 0)),
		"another shape": append(parse(t, text(0, 2, 0)), other...),
	} {
		if _, err := join(tiles); err == nil {
			t.Errorf("%s: joined", name)
		}
	}
}

func FuzzParseTile(f *testing.F) {
	f.Add([]byte(text(1, 4, 77)))
	f.Add([]byte("P5\n# tile 0 of 1 in 1 columns\n4096 4096\n9\n"))
	f.Add([]byte("P6\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tile, err := parseTile(bytes.NewReader(b))
		if err == nil && len(tile.steps) != 2*tile.width*tile.height {
			t.Errorf("%+v", tile)
		}
	})
}
