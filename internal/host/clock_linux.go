package host

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

func readClocks() (clocks, error) {
	var boot, awake, wall unix.Timespec
	for clock, t := range map[int32]*unix.Timespec{unix.CLOCK_BOOTTIME: &boot, unix.CLOCK_MONOTONIC: &awake, unix.CLOCK_REALTIME: &wall} {
		if err := unix.ClockGettime(clock, t); err != nil {
			return clocks{}, fmt.Errorf("read clock %d: %w", clock, err)
		}
	}
	return clocks{time.Duration(boot.Nano()), time.Duration(awake.Nano()), time.Unix(wall.Unix())}, nil
}
