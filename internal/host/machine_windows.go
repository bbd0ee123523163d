package host

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// givesWay: gopsutil tells a base priority, which is 4 in the idle class.
func givesWay(priority int32) bool { return priority > 0 && priority <= 4 }

// idleTime is since the last input of this session. A service has a session of its own, in
// which there never is any.
func idleTime(context.Context) (Idle, error) {
	var session uint32
	if err := windows.ProcessIdToSessionId(windows.GetCurrentProcessId(), &session); err != nil {
		return Idle{}, fmt.Errorf("cannot see input: %w", err)
	}
	if session == 0 {
		return Idle{}, errors.New("a service cannot see input: run shoal in your own session")
	}
	info := struct{ size, tick uint32 }{size: 8}
	getLastInput := windows.NewLazySystemDLL("user32.dll").NewProc("GetLastInputInfo")
	if ok, _, err := getLastInput.Call(uintptr(unsafe.Pointer(&info))); ok == 0 {
		return Idle{}, fmt.Errorf("cannot see input: %w", err)
	}
	now := uint32(windows.DurationSinceBoot() / time.Millisecond) // wraps as the tick does
	return Idle{For: time.Duration(now-info.tick) * time.Millisecond, Source: "Windows"}, nil
}

func power(context.Context) (Power, error) {
	var s struct {
		acLine, battery, percent, saver byte
		left, full                      uint32
	}
	getStatus := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetSystemPowerStatus")
	if ok, _, err := getStatus.Call(uintptr(unsafe.Pointer(&s))); ok == 0 {
		return Power{}, fmt.Errorf("cannot see where power comes from: %w", err)
	}
	const offline, noBattery, unknownBattery = 0, 128, 255
	p := Power{Charge: 1, OnBattery: s.acLine == offline}
	if s.battery != unknownBattery && s.battery&noBattery == 0 {
		p.Batteries = 1
		if s.percent <= 100 {
			p.Charge = float64(s.percent) / 100
		}
	}
	return p, nil
}

func readClocks() (clocks, error) {
	var awake uint64 // in 100 ns
	query := windows.NewLazySystemDLL("kernel32.dll").NewProc("QueryUnbiasedInterruptTime")
	if ok, _, err := query.Call(uintptr(unsafe.Pointer(&awake))); ok == 0 {
		return clocks{}, fmt.Errorf("read the clocks: %w", err)
	}
	return clocks{windows.DurationSinceBoot(), time.Duration(awake) * 100, time.Now().Round(0)}, nil
}
