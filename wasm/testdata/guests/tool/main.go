// Command tool is a guest for the sandbox's tests: its first argument says what it does.
package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		os.Exit(64)
	}
	does := map[string]func(args []string){
		"cat": cat, "upper": upper, "args": args, "exit": exit, "panic": panics, "time": times,
		"random": random, "grow": grow, "flood": flood, "spin": spin, "recurse": recurse,
		"stderr": errs, "sum": sum, "nothing": nothing, "env": env,
		"read": read, "list": list, "write": write, "churn": churn, "float": float,
		"far": far, "deliver": deliver, "deliver-and-fail": func([]string) { deliver([]string{"1"}); os.Exit(1) },
	}
	do := does[os.Args[1]]
	if do == nil {
		fmt.Fprintln(os.Stderr, "no such thing:", os.Args[1])
		os.Exit(64)
	}
	do(os.Args[2:])
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	check(err)
	return n
}

func nothing([]string) {}

// far hashes for so many steps, and keeps how far it is under /state.
func far(args []string) {
	var sum [32]byte
	at := 0
	if kept, err := os.ReadFile("/state/far"); err == nil {
		var last []byte
		_, err := fmt.Sscanf(string(kept), "%d %x", &at, &last)
		check(err)
		copy(sum[:], last)
	}
	fmt.Fprintln(os.Stderr, "from", at)
	for ; at < number(args[0]); at++ {
		for range 20_000 {
			sum = sha256.Sum256(sum[:])
		}
		check(os.WriteFile("/state/new", fmt.Appendf(nil, "%d %x", at+1, sum), 0o600))
		check(os.Rename("/state/new", "/state/far"))
	}
	fmt.Printf("%x\n", sum)
}

func cat([]string) {
	_, err := io.Copy(os.Stdout, os.Stdin)
	check(err)
}

func upper([]string) {
	text, err := io.ReadAll(os.Stdin)
	check(err)
	fmt.Print(strings.ToUpper(string(text)))
}

func args(args []string) { fmt.Printf("%q\n", append([]string{os.Args[0]}, args...)) }

func env([]string) { fmt.Printf("%q\n", os.Environ()) }

func exit(args []string) {
	fmt.Print("before")
	fmt.Fprintln(os.Stderr, "leaving")
	os.Exit(number(args[0]))
}

func panics([]string) { panic("on purpose") }

func times([]string) {
	began := time.Now()
	time.Sleep(time.Hour)
	fmt.Println(began.UTC().Format(time.RFC3339), time.Since(began) >= time.Hour)
}

func random([]string) {
	b := make([]byte, 16)
	rand.Read(b)
	fmt.Printf("%x\n", b)
}

func grow(args []string) {
	var kept [][]byte
	for range number(args[0]) {
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = 1
		}
		kept = append(kept, b)
	}
	fmt.Println(len(kept))
}

func flood(args []string) {
	line := bytes.Repeat([]byte("x"), 1000)
	for range number(args[0]) {
		os.Stdout.Write(line) // a guest that does not care
	}
}

func errs(args []string) {
	w := bufio.NewWriter(os.Stderr)
	for i := range number(args[0]) {
		fmt.Fprintf(w, "line %d\n", i)
	}
	check(w.Flush())
}

func spin([]string) {
	n := uint32(1)
	for n != 0 {
		n = n*3 | 1
	}
	fmt.Println(n)
}

// float prints the bits of numbers that engines could disagree about.
func float([]string) {
	x := 0.1
	for i := range 1000 {
		x = math.Sin(x)*1e3 + math.Sqrt(x*x+float64(i)) - math.Exp(-x)
	}
	fmt.Printf("%x %x\n", math.Float64bits(x), math.Float32bits(float32(x)))
}

func recurse(args []string) { fmt.Println(deep(number(args[0]))) }

func deep(n int) int {
	if n == 0 {
		return 0
	}
	return deep(n-1) + 1
}

func read(args []string) {
	for _, path := range args {
		text, err := os.ReadFile(path)
		check(err)
		os.Stdout.Write(text)
	}
}

// list prints the whole file system.
func list([]string) {
	check(filepath.WalkDir("/", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Println(path, info.Mode(), info.Size(), info.ModTime().Unix())
		return nil
	}))
}

// write writes its last argument into each of the files before it, and prints what happened.
func write(args []string) {
	text := args[len(args)-1]
	for _, path := range args[:len(args)-1] {
		err := os.WriteFile(path, []byte(text), 0o600)
		got, readErr := os.ReadFile(path)
		fmt.Println(path, err, string(got), readErr)
	}
}

// churn does what programs do with scratch files.
func churn([]string) {
	check(os.MkdirAll("/tmp/a/b", 0o700))
	f, err := os.CreateTemp("/tmp/a/b", "x")
	check(err)
	for i := range 1000 {
		fmt.Fprintln(f, i)
	}
	_, err = f.Seek(-4, io.SeekEnd)
	check(err)
	end, err := io.ReadAll(f)
	check(err)
	check(f.Truncate(6))
	check(f.Close())
	check(os.Rename(f.Name(), "/tmp/moved"))
	text, err := os.ReadFile("/tmp/moved")
	check(err)
	a, err := os.OpenFile("/tmp/moved", os.O_APPEND|os.O_WRONLY, 0)
	check(err)
	fmt.Fprint(a, "appended")
	check(a.Close())
	more, err := os.ReadFile("/tmp/moved")
	check(err)
	fmt.Printf("%q %q %q\n", end, text, more)
	fmt.Println(os.Remove("/tmp/a"), os.RemoveAll("/tmp/a"))
	left, err := os.ReadDir("/tmp")
	check(err)
	fmt.Println(left)
}

// deliver leaves so many files in folders of /out, each a byte longer than the one before.
func deliver(args []string) {
	for i := range number(args[0]) {
		dir := fmt.Sprintf("/out/%d", i)
		check(os.MkdirAll(dir, 0o700))
		check(os.WriteFile(dir+"/"+strings.Repeat("name", 40), bytes.Repeat([]byte("x"), i), 0o600))
	}
}

func sum([]string) {
	h := sha256.New()
	n, err := io.Copy(h, os.Stdin)
	check(err)
	fmt.Printf("%d %x\n", n, h.Sum(nil))
}
