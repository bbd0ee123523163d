package worker

import "time"

func wait() { time.Sleep(1) }
