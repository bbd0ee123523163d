// Command guest is what the tests of the rewriter run as a Go program: sorting, maps, garbage, recursion, floats, text.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sort"
	"strings"
)

type tree struct{ left, right *tree }

func grow(depth int) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{grow(depth - 1), grow(depth - 1)}
}

func (t *tree) count() int {
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

func depth(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + depth(n-1)
}

func main() {
	rng := rand.New(rand.NewPCG(1, 2))
	numbers := make([]float64, 5_000)
	sum := 0.0
	for i := range numbers {
		numbers[i] = rng.NormFloat64()
		sum += math.Sin(numbers[i]) * math.Sqrt(math.Abs(numbers[i]))
	}
	sort.Float64s(numbers)
	fmt.Printf("floats %x %x %x\n", math.Float64bits(sum), math.Float64bits(numbers[500]), math.Float64bits(math.Log(-1)*sum))

	words := map[string]int{}
	for i := range 5_000 {
		words[strings.Repeat("x", i%7)+fmt.Sprint(rng.IntN(1000))]++
	}
	text, err := json.Marshal(words)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("words %d %x\n", len(words), sha256.Sum256(text))
	fmt.Println("tree", grow(10).count(), "depth", depth(1_000))
}
