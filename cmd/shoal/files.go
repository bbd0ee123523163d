package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/jobs"
)

// inputFiles are the files and globs of a command line: where they are, and the relative
// path by which each is called in the job, which is also where its answer goes.
func inputFiles(names []string) ([]api.File, error) {
	var files []api.File
	for _, name := range names {
		found, err := expand(name)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			path, err := filepath.Abs(f)
			if err != nil {
				return nil, fmt.Errorf("find input %s: %w", f, err)
			}
			if err := checkFile("input", f, path); err != nil {
				return nil, err
			}
			files = append(files, api.File{Path: path, Name: f})
		}
	}
	nameInputs(files)
	return files, checkNames(files)
}

// expand is the files that a glob matches, which a shell would have expanded if it was not
// quoted, or the name itself.
func expand(name string) ([]string, error) {
	if !strings.ContainsAny(name, "*?[") || exists(name) {
		return []string{name}, nil
	}
	found, err := filepath.Glob(name)
	if err != nil {
		return nil, usage("quote a name that has these characters, or use * and ? alone", "input %s: not a pattern", name)
	}
	if len(found) == 0 {
		return nil, &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("input %s: no file matches", name), Hint: "check the pattern: ls " + name}
	}
	return found, nil
}

// nameInputs turns the names as they were given into relative paths. Files outside the
// working folder are named from the folder that they have in common: where that is, is
// nobody's business.
func nameInputs(files []api.File) {
	var outside []*api.File
	for i := range files {
		f := &files[i]
		if name := filepath.Clean(f.Name); filepath.IsLocal(name) {
			f.Name = filepath.ToSlash(name)
		} else {
			outside = append(outside, f)
		}
	}
	common := commonFolder(outside)
	for _, f := range outside {
		name, err := filepath.Rel(common, f.Path)
		if err != nil { // on another volume
			name = filepath.Base(f.Path)
		}
		f.Name = filepath.ToSlash(name)
	}
}

// commonFolder is the deepest folder that all the files are in.
func commonFolder(files []*api.File) string {
	common := ""
	for i, f := range files {
		dir := filepath.Dir(f.Path)
		if i == 0 {
			common = dir
		}
		for !within(common, dir) && filepath.Dir(common) != common {
			common = filepath.Dir(common)
		}
	}
	return common
}

func within(folder, path string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rel)
}

// checkNames refuses inputs whose answers would be one file, or a file and a folder.
func checkNames(files []api.File) error {
	taken := make(map[string]bool, len(files))
	fold := func(name string) string {
		if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
			return strings.ToLower(name)
		}
		return name
	}
	for _, f := range files {
		if err := jobs.ValidPath(f.Name); err != nil {
			return usage("rename it: names are relative paths of text", "input %q: %v", f.Path, err)
		}
		if taken[fold(f.Name)] {
			return usage("give each input once; answers are named after inputs", "two inputs are called %s", f.Name)
		}
		taken[fold(f.Name)] = true
	}
	for _, f := range files {
		for dir := f.Name; strings.Contains(dir, "/"); {
			dir = dir[:strings.LastIndex(dir, "/")]
			if taken[fold(dir)] {
				return usage("submit them as two jobs; answers are named after inputs", "input %s and the folder of input %s have one name", dir, f.Name)
			}
		}
	}
	return nil
}

// dataFiles are the files that all inputs share, each called by its base name.
func dataFiles(names []string) ([]api.File, error) {
	var files []api.File
	taken := make(map[string]bool)
	for _, name := range names {
		path, err := filepath.Abs(name)
		if err != nil {
			return nil, fmt.Errorf("find data %s: %w", name, err)
		}
		if err := checkFile("data", name, path); err != nil {
			return nil, err
		}
		base := filepath.Base(path)
		if err := jobs.ValidBase(base); err != nil {
			return nil, usage("rename it", "data: %v", err)
		}
		if taken[base] {
			return nil, usage("rename one: the program sees both at /data/"+base, "two data files are called %s", base)
		}
		taken[base] = true
		files = append(files, api.File{Path: path, Name: base})
	}
	return files, nil
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
