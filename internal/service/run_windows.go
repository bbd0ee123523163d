package service

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/windows/svc"
)

// Run lets f be the service where Windows has started this process as one, and calls it
// as it is elsewhere. Its context ends, for the reason stop, when Windows wants it to.
func Run(ctx context.Context, stop error, f func(context.Context) error) error {
	is, err := svc.IsWindowsService()
	if err != nil {
		return fmt.Errorf("find out whether this is a service: %w", err)
	}
	if !is {
		return f(ctx)
	}
	h := &handler{ctx: ctx, stop: stop, f: f}
	return errors.Join(svc.Run(Name, h), h.err)
}

type handler struct {
	ctx  context.Context
	stop error
	f    func(context.Context) error
	err  error
}

// Execute is the life of the service.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (specific bool, code uint32) {
	ctx, cancel := context.WithCancelCause(h.ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- h.f(ctx) }()
	running := svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	status <- running
	for {
		select {
		case h.err = <-done:
			if h.err != nil {
				return true, 1
			}
			return false, 0
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- running
			case svc.Stop, svc.Shutdown:
				running = svc.Status{State: svc.StopPending}
				status <- running
				cancel(h.stop)
			}
		}
	}
}
