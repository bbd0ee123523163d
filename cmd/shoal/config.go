package main

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/config"
)

func (p *program) configCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "config",
		Short: "read and change what this machine lends, and when",
		Long: `Settings are in config.toml in the home. A flag of the same name beats the variable
SHOAL_NAME, which beats the file, which beats the default. What says when and how much is
lent counts at once, also in a node that runs; the first four count when it starts again.

` + settingsHelp(config.Settings()),
		Example: `  shoal config set when always
  shoal config set hours 'mon-fri 19:00-08:00, sat-sun'
  shoal config show --origin`,
	}, p.configGetCommand(), p.configSetCommand(), p.configUnsetCommand(), p.configShowCommand())
}

func (p *program) configGetCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "get KEY",
		Short:             "print one setting",
		Example:           `  shoal config get when`,
		Args:              exactArgs("KEY"),
		ValidArgsFunction: settingNames,
		RunE: func(_ *cobra.Command, args []string) error {
			_, c, err := p.settings()
			if err != nil {
				return err
			}
			value, err := c.Get(args[0])
			if err != nil {
				return wrongCall(err)
			}
			return p.print(shownSetting{Schema: api.SettingSchema, Name: args[0], Value: value}, func(w io.Writer) { io.WriteString(w, value+"\n") })
		},
	}
}

func (p *program) configSetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "set KEY VALUE",
		Short: "write one setting into config.toml, comments and all else as they are",
		Example: `  shoal config set cores 4
  shoal config set pause-for steam,zoom`,
		Args:              exactArgs("KEY", "VALUE"),
		ValidArgsFunction: settingNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.change(cmd, args[0], func(home string) error { return config.Set(home, args[0], args[1]) })
		},
	}
}

func (p *program) configUnsetCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "unset KEY",
		Short:             "take one setting out of config.toml: its default counts",
		Example:           `  shoal config unset cores`,
		Args:              exactArgs("KEY"),
		ValidArgsFunction: settingNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.change(cmd, args[0], func(home string) error { return config.Unset(home, args[0]) })
		},
	}
}

func (p *program) configShowCommand() *cobra.Command {
	var origin bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "print all settings",
		Example: `  shoal config show
  shoal config show --origin`,
		Args: exactArgs(),
		RunE: func(*cobra.Command, []string) error {
			_, c, err := p.settings()
			if err != nil {
				return err
			}
			list := shownSettings(&c, origin)
			return printList(p, list, func(w io.Writer) { settingsTable(w, list) })
		},
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "say where each comes from: default, a line of the file, a variable")
	return cmd
}

// shownSetting is a setting as a document.
type shownSetting struct {
	Schema string `json:"schema"` // api.SettingSchema, of which it is a part
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin,omitempty"`
}

func shownSettings(c *config.Config, origin bool) []shownSetting {
	var list []shownSetting
	for _, s := range config.Settings() {
		value, _ := c.Get(s.Name) // it is there: it was listed
		shown := shownSetting{Schema: api.SettingSchema, Name: s.Name, Value: value}
		if origin {
			shown.Origin = c.Source(s.Name)
		}
		list = append(list, shown)
	}
	return list
}

// settings are those of the home, as a node that starts now would find them.
func (p *program) settings() (home string, c config.Config, err error) {
	if home, err = p.home(); err != nil {
		return "", c, wrongCall(err)
	}
	c, err = config.Load(home, os.LookupEnv, nil)
	return home, c, wrongCall(err)
}

// change changes the file of the home, and has a node that runs there take it up.
func (p *program) change(cmd *cobra.Command, name string, change func(home string) error) error {
	home, err := p.home()
	if err != nil {
		return wrongCall(err)
	}
	if err := change(home); err != nil {
		return wrongCall(err)
	}
	c, err := config.Load(home, os.LookupEnv, nil)
	if err != nil {
		return wrongCall(err)
	}
	value, err := c.Get(name)
	if err != nil {
		return wrongCall(err)
	}
	s, err := p.running()
	if err != nil {
		return err
	}
	err = s.Reload(cmd.Context())
	var e *api.Error
	runs := true
	if errors.As(err, &e) && e.Code == api.CodeNoNode {
		runs, err = false, nil
	}
	if err != nil {
		return err
	}
	p.ui.set(name, value, overruled(c.Source(name)), runs && !isWish(name))
	return nil
}

// overruled is the variable that beats the file, or "".
func overruled(source string) string {
	if strings.HasPrefix(source, "SHOAL_") {
		return source
	}
	return ""
}

func isWish(name string) bool {
	for _, s := range config.Settings() {
		if s.Name == name {
			return s.Wish
		}
	}
	return false
}
