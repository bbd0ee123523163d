package main

import (
	"fmt"
	"log/slog"

	"github.com/shoalgrid/shoal/internal/api"
	"github.com/shoalgrid/shoal/internal/service"
)

func logLevels() []string { return []string{"debug", "info", "warn", "error"} }

// openLog makes the log: to the person, as much as was asked for, and to a file if there is
// to be one.
func (p *program) openLog() error {
	screen, file := slog.LevelWarn, slog.LevelInfo
	switch {
	case p.logLevel != "":
		if err := oneOf("log-level", p.logLevel, logLevels()); err != nil {
			return err
		}
		if err := screen.UnmarshalText([]byte(p.logLevel)); err != nil {
			return err
		}
		file = screen
	case p.verbose:
		screen, file = slog.LevelDebug, slog.LevelDebug
	case p.quiet:
		screen = slog.LevelError
	}
	p.logger = p.ui.screen.logger(screen)
	if p.logPath == "" {
		return nil
	}
	f, err := service.OpenLog(p.logPath)
	if err != nil {
		return &api.Error{Code: api.CodeUsage, Message: fmt.Sprintf("--log-file: %v", err), Hint: "name a file that can be written"}
	}
	p.logFile = f
	p.logger = slog.New(slog.NewMultiHandler(p.logger.Handler(), slog.NewTextHandler(f, &slog.HandlerOptions{Level: file})))
	return nil
}

// log is where parts of a node log.
func (p *program) log() *slog.Logger {
	if p.logger == nil { // a command that is not run from the beginning, as tests do
		return p.ui.screen.logger(slog.LevelWarn)
	}
	return p.logger
}

// closeLog ends the log's file.
func (p *program) closeLog() {
	if p.logFile != nil {
		if err := p.logFile.Close(); err != nil {
			p.ui.say("the log may not be complete: %v", err)
		}
	}
}
