// Join puts the tiles that mandelbrot printed together into one coloured picture.
//
//	go run ./join -o mandelbrot.png tiles
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	out := flag.String("o", "mandelbrot.png", "the picture to write")
	flag.Parse()
	if err := run(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "join:", err)
		os.Exit(1)
	}
}

// run joins the tiles in the given files and folders.
func run(out string, args []string) error {
	var tiles []tile
	for _, arg := range args {
		files, err := filesIn(arg)
		if err != nil {
			return err
		}
		for _, file := range files {
			t, err := readTile(file)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			tiles = append(tiles, t)
		}
	}
	picture, err := join(tiles)
	if err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	return errors.Join(png.Encode(f, picture), f.Close())
}

// filesIn is the files of a folder, or the file itself.
func filesIn(arg string) ([]string, error) {
	info, err := os.Stat(arg)
	if err != nil || !info.IsDir() {
		return []string{arg}, err
	}
	entries, err := os.ReadDir(arg)
	var files []string
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") { // shoal keeps a list of what it wrote
			files = append(files, filepath.Join(arg, e.Name()))
		}
	}
	return files, err
}

// tile is one tile as mandelbrot printed it.
type tile struct {
	number, of, columns int
	width, height, max  int
	steps               []byte // two bytes a point
}

func readTile(file string) (t tile, err error) {
	f, err := os.Open(file)
	if err != nil {
		return t, err
	}
	defer f.Close()
	return parseTile(bufio.NewReader(f))
}

func parseTile(r io.Reader) (t tile, err error) {
	_, err = fmt.Fscanf(r, "P5\n# tile %d of %d in %d columns\n%d %d\n%d\n",
		&t.number, &t.of, &t.columns, &t.width, &t.height, &t.max)
	if err != nil {
		return t, fmt.Errorf("not a tile: %w", err)
	}
	if t.number < 0 || t.number >= t.of || t.of > 1<<16 || t.columns < 1 || t.columns > t.of ||
		min(t.width, t.height, t.max) < 1 || max(t.width, t.height) > 1<<12 {
		return t, fmt.Errorf("not a tile: number %d of %d, %d by %d", t.number, t.of, t.width, t.height)
	}
	t.steps = make([]byte, 2*t.width*t.height)
	if _, err := io.ReadFull(r, t.steps); err != nil {
		return t, fmt.Errorf("tile %d is cut short: %w", t.number, err)
	}
	return t, nil
}

// join colours the tiles and lays them side by side. All must be there, once.
func join(tiles []tile) (image.Image, error) {
	if len(tiles) == 0 {
		return nil, errors.New("no tiles")
	}
	slices.SortFunc(tiles, func(a, b tile) int { return a.number - b.number })
	first := tiles[0]
	rows := (first.of + first.columns - 1) / first.columns
	picture := image.NewRGBA(image.Rect(0, 0, first.columns*first.width, rows*first.height))
	for i, t := range tiles {
		if t.number != i {
			return nil, fmt.Errorf("tile %d is missing, or another is there twice", i)
		}
		if t.of != first.of || t.columns != first.columns || t.width != first.width || t.height != first.height {
			return nil, fmt.Errorf("tile %d is of another picture", i)
		}
		paint(picture, t)
	}
	if len(tiles) != first.of {
		return nil, fmt.Errorf("%d tiles of %d", len(tiles), first.of)
	}
	return picture, nil
}

func paint(picture *image.RGBA, t tile) {
	x0, y0 := t.number%t.columns*t.width, t.number/t.columns*t.height
	for y := range t.height {
		for x := range t.width {
			at := 2 * (y*t.width + x)
			n := int(t.steps[at])<<8 | int(t.steps[at+1])
			picture.SetRGBA(x0+x, y0+y, colour(n, t.max))
		}
	}
}

// colour runs from deep blue over white and gold to dark; what never escapes is black.
func colour(n, most int) color.RGBA {
	if n >= most {
		return color.RGBA{A: 255}
	}
	at := math.Sqrt(float64(n)) / 3
	wave := func(phase float64) uint8 { return uint8(math.Round(127.5 - 127.5*math.Cos(at+phase))) }
	return color.RGBA{R: wave(0), G: wave(0.35), B: wave(0.9), A: 255}
}
