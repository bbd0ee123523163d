package node

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
)

// Settings are the node's settings as they count now.
func (n *Node) Settings(context.Context) ([]api.Setting, error) {
	n.mu.Lock()
	c := n.lending.config
	n.mu.Unlock()
	var list []api.Setting
	for _, s := range config.Settings() {
		value, err := c.Get(s.Name)
		if err != nil {
			return nil, err
		}
		list = append(list, api.Setting{Name: s.Name, Value: value, Default: s.Default, About: s.About, Wants: s.Wants, Origin: c.Source(s.Name), Wish: s.Wish})
	}
	return list, nil
}

// Set writes settings that are wishes into the home's file, and takes them up. All are tried
// before one is written.
func (n *Node) Set(ctx context.Context, values map[string]string) error {
	for name := range values {
		known := slices.ContainsFunc(config.Settings(), func(s config.Setting) bool { return s.Name == name && s.Wish })
		if !known {
			return &api.Error{Code: api.CodeUsage, Message: name + " is no setting that says what is lent", Hint: "shoal config set takes the others; they count after a restart"}
		}
	}
	if err := n.tryOut(values); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := config.Set(n.opts.Home, name, values[name]); err != nil {
			return wrongSetting(err)
		}
	}
	n.mu.Lock()
	n.lending.given = maps.Clone(n.lending.given)
	maps.DeleteFunc(n.lending.given, func(name, _ string) bool { _, ok := values[name]; return ok }) // the file counts from now on
	n.mu.Unlock()
	if err := n.Reload(ctx); err != nil {
		return err
	}
	return n.takeUp(n.beaten(values))
}

// beaten are those of some values that the file has, but a flag of this run beats.
func (n *Node) beaten(values map[string]string) map[string]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[string]string{}
	for name, value := range values {
		if n.lending.config.Source(name) == "--"+name {
			out[name] = value
		}
	}
	return out
}

// tryOut says what is wrong with settings, without taking them up.
func (n *Node) tryOut(values map[string]string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, err := n.lending.config.Again(values)
	return wrongSetting(err)
}

// wrongSetting makes a setting that cannot be used the caller's mistake.
func wrongSetting(err error) error {
	if bad, ok := errors.AsType[*config.Error](err); ok {
		return &api.Error{Code: api.CodeUsage, Message: bad.Error(), Hint: bad.Hint()}
	}
	return err
}
