// Package archtest holds the architecture to its word. Its test reads the import lines and
// a little of the syntax of every package, and fails, with the reason, where one reaches
// for something that its room must not have. The rooms are DESIGN §2's: imports point
// down, the core is pure, each heavy dependency has one door.
package archtest

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// module is the import path of the root.
const module = "github.com/shoalgrid/shoal"

// pkg is one folder of Go files, as far as the rules look at it.
type pkg struct {
	path  string // from the root, "." for the root itself
	name  string
	doc   string
	files []file // with tests
}

type file struct {
	name string
	test bool
	ast  *ast.File
	fset *token.FileSet
}

// load reads every package under root, all build tags together.
func load(root string) ([]pkg, error) {
	var pkgs []pkg
	err := filepath.WalkDir(root, func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); dir != root && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
			return filepath.SkipDir
		}
		p, err := loadPackage(root, dir)
		if err == nil && len(p.files) > 0 {
			pkgs = append(pkgs, p)
		}
		return err
	})
	return pkgs, err
}

func loadPackage(root, dir string) (pkg, error) {
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return pkg{}, err
	}
	p := pkg{path: filepath.ToSlash(rel)}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return pkg{}, err
	}
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) != ".go" {
			continue
		}
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, filepath.Join(dir, e.Name()), nil, parser.ParseComments)
		if err != nil {
			return pkg{}, err
		}
		if neverBuilt(tree) {
			continue
		}
		f := file{name: path.Join(p.path, e.Name()), test: strings.HasSuffix(e.Name(), "_test.go"), ast: tree, fset: fset}
		p.files = append(p.files, f)
		if !f.test {
			p.name = tree.Name.Name
			p.doc += tree.Doc.Text()
		}
	}
	return p, nil
}

// neverBuilt reports whether a file is under a tag that nobody sets.
func neverBuilt(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if expr, err := constraint.Parse(c.Text); err == nil {
				return !expr.Eval(func(tag string) bool { return tag != "never" && tag != "ignore" })
			}
		}
	}
	return false
}

// check returns every breach of the rules, each with its reason.
func check(pkgs []pkg) (breaches []string) {
	for _, p := range pkgs {
		breaches = append(breaches, p.check()...)
	}
	slices.Sort(breaches)
	return breaches
}

func (p pkg) check() (breaches []string) {
	if word := path.Base(p.path); slices.Contains(emptyWords(), word) {
		breaches = append(breaches, fmt.Sprintf("%s: %q says nothing: name the package by what it does", p.path, word))
	}
	i := slices.IndexFunc(rooms(), func(r room) bool { return r.covers(p.path) })
	if i < 0 {
		return append(breaches, fmt.Sprintf("%s is in no room: give it one, with what it may import and why, in internal/archtest/rooms.go", p.path))
	}
	r := rooms()[i]
	if p.name != "" {
		breaches = append(breaches, p.checkDoc()...)
	}
	for _, f := range p.files {
		if f.test {
			breaches = append(breaches, f.checkSleep()...)
			continue
		}
		breaches = append(breaches, f.checkImports(p.path, r)...)
		breaches = append(breaches, f.checkInit()...)
		if r.pure {
			breaches = append(breaches, f.checkPure()...)
		}
	}
	return breaches
}

func (p pkg) checkDoc() []string {
	if p.name != "main" && !strings.HasPrefix(p.doc, "Package "+p.name+" ") || p.doc == "" {
		return []string{fmt.Sprintf("%s has no comment that says what it is, beginning with \"Package %s\" (any words for a main)", p.path, p.name)}
	}
	return nil
}

func (f file) imports() (paths []string) {
	for _, spec := range f.ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

func (f file) checkImports(from string, r room) (breaches []string) {
	for _, imp := range f.imports() {
		if own, ok := strings.CutPrefix(imp, module+"/"); ok {
			if !r.mayImport(own) && !r.covers(own) {
				breaches = append(breaches, fmt.Sprintf("%s: %s may not import %s: %s", f.name, from, own, r.why))
			}
			continue
		}
		if !strings.Contains(strings.Split(imp, "/")[0], ".") {
			continue // the standard library
		}
		if d, ok := doorOf(imp); ok && !d.open(from) {
			breaches = append(breaches, fmt.Sprintf("%s: %s imports %s, but its one door is %s: %s", f.name, from, imp, d.room, d.why))
		} else if !ok && !r.mayImport(imp) {
			breaches = append(breaches, fmt.Sprintf("%s: %s may not import %s: %s", f.name, from, imp, r.why))
		}
	}
	return breaches
}

func (f file) checkInit() (breaches []string) {
	for _, d := range f.ast.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "init" && fn.Recv == nil {
			breaches = append(breaches, fmt.Sprintf("%s has an init function: what runs before main cannot be seen, ordered or tested", f.at(fn)))
		}
	}
	return breaches
}

// checkPure finds what makes a decider depend on anything but its arguments.
func (f file) checkPure() (breaches []string) {
	for _, imp := range f.imports() {
		for _, bad := range impureImports() {
			if imp == bad || strings.HasPrefix(imp, bad+"/") {
				breaches = append(breaches, fmt.Sprintf("%s imports %s: a pure room is told time, randomness and identity as arguments and does nothing itself", f.name, imp))
			}
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			breaches = append(breaches, fmt.Sprintf("%s starts a goroutine: a pure room decides, others do", f.at(n)))
		case *ast.SelectorExpr:
			if name, ok := f.selected(n, "time"); ok && slices.Contains(clockCalls(), name) {
				breaches = append(breaches, fmt.Sprintf("%s reads the clock with time.%s: a pure room is told the time", f.at(n), name))
			}
		}
		return true
	})
	return breaches
}

// checkSleep finds tests that wait by guessing. Inside synctest sleeping is exact.
func (f file) checkSleep() (breaches []string) {
	if slices.Contains(f.imports(), "testing/synctest") {
		return nil
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if name, ok := f.selected(sel, "time"); ok && name == "Sleep" {
				breaches = append(breaches, fmt.Sprintf("%s sleeps: wait for the condition, or run in testing/synctest", f.at(n)))
			}
		}
		return true
	})
	return breaches
}

// selected is the name that an expression selects from the imported package, whatever the
// file calls it.
func (f file) selected(sel *ast.SelectorExpr, imp string) (string, bool) {
	x, ok := sel.X.(*ast.Ident)
	if !ok || x.Obj != nil { // a variable, not a package
		return "", false
	}
	for _, spec := range f.ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err != nil || p != imp {
			continue
		}
		local := path.Base(imp)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		if x.Name == local {
			return sel.Sel.Name, true
		}
	}
	return "", false
}

func (f file) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.name, f.fset.Position(n.Pos()).Line)
}
