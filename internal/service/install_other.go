//go:build !linux && !darwin && !windows

package service

import "context"

// Install cannot be done here.
func (Service) Install(context.Context) (State, error) { return State{}, ErrNoManager }

// Uninstall cannot be done here.
func (Service) Uninstall(context.Context) (State, error) { return State{}, ErrNoManager }

// State is that nothing is installed.
func (Service) State(context.Context) (State, error) { return State{}, nil }
