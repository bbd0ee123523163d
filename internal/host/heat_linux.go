package host

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// processorSensors are the hwmon drivers, and beginnings of thermal zones' types, that
// measure a processor: disks and batteries are hot at other temperatures.
func processorSensors() []string {
	return []string{"coretemp", "k10temp", "zenpower", "k8temp", "cpu", "soc", "x86_pkg_temp", "acpitz", "bigcore", "littlecore"}
}

const (
	maxSensors = 256
	hottest    = 150.0 // °C; a sensor that says more is broken
)

// heat is the hottest of the processor's sensors.
func (l *linux) heat(context.Context) (Heat, error) {
	var h Heat
	found := false
	note := func(sensor, milli string) {
		t, err := strconv.ParseFloat(milli, 64)
		if c := t / 1000; err == nil && c > 0 && c < hottest && (!found || c > h.Celsius) {
			h, found = Heat{Celsius: c, Sensor: sensor}, true
		}
	}
	for _, input := range l.glob("sys/class/hwmon/hwmon*/temp*_input") {
		if name := l.line(filepath.Dir(input), "name"); measuresProcessor(name) {
			note(name, l.line(input))
		}
	}
	for _, zone := range l.glob("sys/class/thermal/thermal_zone*") {
		if name := l.line(zone, "type"); measuresProcessor(name) {
			note(name, l.line(zone, "temp"))
		}
	}
	if !found {
		return Heat{}, errors.New("no sensor of the processor's temperature")
	}
	return h, nil
}

func measuresProcessor(name string) bool {
	return slices.ContainsFunc(processorSensors(), func(s string) bool { return strings.HasPrefix(strings.ToLower(name), s) })
}

// glob is the paths under root that match, as line takes them.
func (l *linux) glob(pattern string) []string {
	found, err := filepath.Glob(filepath.Join(l.root, pattern))
	if err != nil {
		return nil // only a bad pattern
	}
	found = found[:min(len(found), maxSensors)]
	for i, f := range found {
		found[i], _ = filepath.Rel(l.root, f) // what Glob found under root is relative to it
	}
	return found
}
