// Mersenne reads a number p and prints it if 2^p - 1 is prime. Without p on standard input
// it takes its first argument.
//
//	shoal run mersenne.wasm --range 2..4500
package main

import (
	"fmt"
	"io"
	"math/big"
	"os"
	"strconv"
	"strings"
)

func main() {
	p, err := exponent(os.Stdin, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "mersenne:", err)
		os.Exit(2)
	}
	if mersennePrime(p) {
		fmt.Println(p)
	}
}

// exponent is the number to test, from args if there are any, else from r.
func exponent(r io.Reader, args []string) (uint, error) {
	text := strings.Join(args, " ")
	if len(args) == 0 {
		b, err := io.ReadAll(io.LimitReader(r, 64))
		if err != nil {
			return 0, err
		}
		text = string(b)
	}
	p, err := strconv.ParseUint(strings.TrimSpace(text), 10, 24)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number below %d", text, 1<<24)
	}
	return uint(p), nil
}

// mersennePrime reports whether 2^p - 1 is prime. For that p itself must be, and if it is
// odd, Lucas and Lehmer tell: with s = 4, then s = s² - 2 modulo 2^p - 1, p - 2 times over,
// s ends as 0.
func mersennePrime(p uint) bool {
	if p == 2 {
		return true
	}
	if !prime(p) {
		return false
	}
	one := big.NewInt(1)
	m := new(big.Int).Sub(new(big.Int).Lsh(one, p), one)
	s, two, high := big.NewInt(4), big.NewInt(2), new(big.Int)
	for range p - 2 {
		s.Mul(s, s)
		s.Sub(s, two)
		// Modulo 2^p - 1 a number is its lower p bits plus the rest: no division.
		for s.BitLen() > int(p) {
			high.Rsh(s, p)
			s.And(s, m)
			s.Add(s, high)
		}
		if s.Sign() < 0 {
			s.Add(s, m)
		}
	}
	return s.Sign() == 0 || s.Cmp(m) == 0
}

func prime(p uint) bool {
	if p < 2 {
		return false
	}
	for d := uint(2); d*d <= p; d++ {
		if p%d == 0 {
			return false
		}
	}
	return true
}
