package main

import (
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/api/door"
	"github.com/shoalgrid/shoal/internal/web"
)

func (p *program) uiCommand() *cobra.Command {
	var print bool
	var port int
	cmd := &cobra.Command{
		Use:   "ui",
		Short: "open the node's page in the browser",
		Long: `Opens a page that shows jobs, what this machine gives and the grid, and lets one submit,
pause and cancel. It is for this machine and user only: a port of 127.0.0.1, closed until
asked for and when unused for two hours, and a link that works once, within two minutes.`,
		Example: `  shoal ui
  shoal ui --print                                the link alone, to open it by hand
  ssh -L 4902:127.0.0.1:4902 HOST shoal ui --port 4902 --print`,
		Args: exactArgs(),
	}
	cmd.Flags().BoolVar(&print, "print", false, "print the link and open nothing")
	cmd.Flags().IntVar(&port, "port", 0, "`N`, the port to open (any)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if port < 0 || port > 65535 {
			return usage("ports are 1 to 65535; 0 is any", "--port %d: no such port", port)
		}
		return p.openPage(cmd.Context(), port, print)
	}
	return cmd
}

func (p *program) openPage(ctx context.Context, port int, print bool) error {
	home, err := p.home()
	if err != nil {
		return wrongCall(err)
	}
	c := api.NewClient(home)
	defer c.Close()
	page, err := c.Page(ctx, port)
	if err != nil {
		return err
	}
	if print || p.output != formatTable {
		return p.print(page, func(w io.Writer) { io.WriteString(w, page.Link+"\n") })
	}
	if err := browse(ctx, page.Link); err != nil {
		p.ui.noBrowser(page.Link)
		return nil
	}
	p.ui.browsing()
	return nil
}

// browse has the system's browser open an address.
func browse(ctx context.Context, link string) error {
	words := []string{"xdg-open"}
	switch runtime.GOOS {
	case "darwin":
		words = []string{"open"}
	case "windows":
		words = []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	return exec.CommandContext(ctx, words[0], append(words[1:], link)...).Run()
}

// newServer serves a node on its socket, and its page behind a door that is closed at first. Both
// run until ctx ends.
func newServer(n gridNode, o nodeOptions) (*api.Server, *door.Door) {
	server := api.NewServer(n, o.Logger)
	site := web.New(web.Config{Node: n, Feed: server.Feed(), API: server.Guarded(), Temp: filepath.Join(o.Home, "tmp"), Logger: o.Logger})
	d := door.New(door.Config{Home: o.Home, Handler: site.Handler(), Logger: o.Logger})
	server.Page, server.Metrics = d.Link, n.Metrics()
	return server, d
}
