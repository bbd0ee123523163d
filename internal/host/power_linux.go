package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// power reads what the kernel knows of batteries and mains. A supply that disappears while
// it is read is one that is not there.
func (l *linux) power(context.Context) (Power, error) {
	dir := filepath.Join(l.root, "sys/class/power_supply")
	supplies, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return Power{Charge: 1}, nil // a kernel without batteries
	}
	if err != nil {
		return Power{}, fmt.Errorf("cannot read power supplies: %w", err)
	}
	p := Power{Charge: 1}
	mains, discharging := false, false
	for _, s := range supplies[:min(len(supplies), maxSupplies)] {
		of := func(name string) string { return l.line("sys/class/power_supply", s.Name(), name) }
		switch of("type") {
		case "Mains", "USB", "Wireless":
			mains = mains || of("online") == "1"
		case "Battery", "UPS":
			if of("scope") == "Device" || of("present") == "0" {
				continue // of a mouse; or taken out
			}
			p.Batteries++
			discharging = discharging || of("status") == "Discharging"
			if percent, err := strconv.ParseFloat(of("capacity"), 64); err == nil {
				p.Charge = min(p.Charge, max(0, percent/100))
			}
		}
	}
	p.OnBattery = discharging && !mains
	return p, nil
}

const maxSupplies = 64
