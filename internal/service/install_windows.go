package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// Install makes the service and starts it, now and from the machine's start on.
func (s Service) Install(ctx context.Context) (State, error) {
	m, err := mgr.Connect()
	if err != nil {
		return State{}, fmt.Errorf("reach the service control manager: %w", err)
	}
	defer m.Disconnect()
	if _, err := s.Uninstall(ctx); err != nil && !errors.Is(err, ErrNotInstalled) {
		return State{}, err
	}
	config := mgr.Config{
		DisplayName: "shoal", Description: windowsDescription, StartType: mgr.StartAutomatic, DelayedAutoStart: true,
		ServiceStartName: `NT AUTHORITY\LocalService`,
	}
	made, err := m.CreateService(Name, s.Program, config, s.logged(`\`)[1:]...)
	if err != nil {
		return State{}, fmt.Errorf("make the service: %w", err)
	}
	defer made.Close()
	again := []mgr.RecoveryAction{{Type: mgr.ServiceRestart, Delay: 10 * time.Second}}
	if err := made.SetRecoveryActions(again, 3600); err != nil {
		return State{}, fmt.Errorf("have the service started again after a crash: %w", err)
	}
	if err := made.Start(); err != nil {
		return State{}, fmt.Errorf("start the service: %w", err)
	}
	return s.State(ctx)
}

// openService finds the service and reports whether it was made here.
func openService(m *mgr.Mgr) (found *mgr.Service, ours bool, err error) {
	found, err = m.OpenService(Name)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return nil, false, ErrNotInstalled
	}
	if err != nil {
		return nil, false, fmt.Errorf("open the service: %w", err)
	}
	config, err := found.Config()
	if err != nil {
		found.Close()
		return nil, false, fmt.Errorf("read the service: %w", err)
	}
	return found, config.Description == windowsDescription, nil
}

// Uninstall stops the service and takes it away.
func (s Service) Uninstall(context.Context) (State, error) {
	m, err := mgr.Connect()
	if err != nil {
		return State{}, fmt.Errorf("reach the service control manager: %w", err)
	}
	defer m.Disconnect()
	found, ours, err := openService(m)
	if err != nil {
		return State{}, err
	}
	defer found.Close()
	if !ours {
		return State{}, &ForeignError{Path: "the service " + Name}
	}
	if _, err := found.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return State{}, fmt.Errorf("stop the service: %w", err)
	}
	if err := found.Delete(); err != nil {
		return State{}, fmt.Errorf("take the service away: %w", err)
	}
	return State{Path: Name}, nil
}

// State asks how the service is.
func (s Service) State(context.Context) (State, error) {
	st := State{Path: Name}
	m, err := mgr.Connect()
	if err != nil {
		return st, fmt.Errorf("reach the service control manager: %w", err)
	}
	defer m.Disconnect()
	found, ours, err := openService(m)
	if errors.Is(err, ErrNotInstalled) {
		return st, nil
	}
	if err != nil {
		return st, err
	}
	defer found.Close()
	now, err := found.Query()
	if err != nil {
		return st, fmt.Errorf("ask for the service: %w", err)
	}
	st.Installed, st.Ours, st.Running = true, ours, now.State == svc.Running
	st.Words = map[svc.State]string{
		svc.Stopped: "stopped", svc.StartPending: "starting", svc.StopPending: "stopping", svc.Running: "running",
	}[now.State]
	return st, nil
}
