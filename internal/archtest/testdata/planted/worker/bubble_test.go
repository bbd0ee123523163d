package worker

import (
	"testing/synctest"
	"time"
)

func exact() { time.Sleep(1); synctest.Wait() }
