// Mandelbrot reads the number of a tile and prints that tile of the picture: a grey map
// (PGM, two bytes a point) of how many steps each point takes to escape.
//
//	shoal run mandelbrot.wasm --range 0..47 -d tiles
//	go run ./join -o mandelbrot.png tiles
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// The picture is 8 by 6 square tiles.
const (
	tileSize = 128
	columns  = 8
	rows     = 6

	left, top = -2.25, 1.2
	step      = 2.4 / (rows * tileSize)
	maxSteps  = 1000
)

func main() {
	tile, err := number(os.Stdin, os.Args[1:])
	if err == nil {
		err = draw(os.Stdout, tile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mandelbrot:", err)
		os.Exit(2)
	}
}

// number is the tile to draw, from args if there are any, else from r.
func number(r io.Reader, args []string) (int, error) {
	text := strings.Join(args, " ")
	if len(args) == 0 {
		b, err := io.ReadAll(io.LimitReader(r, 64))
		if err != nil {
			return 0, err
		}
		text = string(b)
	}
	tile, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || tile < 0 || tile >= rows*columns {
		return 0, fmt.Errorf("%q is not the number of a tile, 0 to %d", text, rows*columns-1)
	}
	return tile, nil
}

// draw writes the tile. Its comment names it, so that join need not trust file names.
func draw(w io.Writer, tile int) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "P5\n# tile %d of %d in %d columns\n%d %d\n%d\n", tile, rows*columns, columns, tileSize, tileSize, maxSteps)
	x0, y0 := tile%columns*tileSize, tile/columns*tileSize
	for y := range tileSize {
		for x := range tileSize {
			n := steps(left+float64(x0+x)*step, top-float64(y0+y)*step)
			b.WriteByte(byte(n >> 8)) // a bufio.Writer keeps its error for Flush
			b.WriteByte(byte(n))
		}
	}
	return b.Flush()
}

// steps is how many times z → z² + c can be done, from 0, before z is farther than 2 from
// 0; maxSteps if it stays. The conversions forbid compilers to fuse a product with a sum,
// which would round differently on some machines.
func steps(re, im float64) int {
	var x, y float64
	for n := range maxSteps {
		xx, yy := float64(x*x), float64(y*y)
		if xx+yy > 4 {
			return n
		}
		x, y = xx-yy+re, float64(2*x*y)+im
	}
	return maxSteps
}
