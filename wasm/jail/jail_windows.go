package jail

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Limit puts the process into a job object of its own: one process, so much memory, so
// much CPU time, no desktop. None of this was run by the authors.
func Limit(p Plan) []Lock {
	var l locks
	if p.Idle {
		l.add(Priority, windows.SetPriorityClass(windows.CurrentProcess(), windows.IDLE_PRIORITY_CLASS))
	}
	err := enterJob(p)
	l.add(ProcessLimits, err)
	l.add(Rlimits, err)
	return l
}

// Shut has nothing more: an AppContainer would have to be made by the parent.
func Shut(Plan) []Lock {
	var l locks
	none := errors.New("not done on Windows")
	l.add(NoPrivileges, none)
	l.add(SystemCalls, none)
	return l
}

func enterJob(p Plan) error {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return fmt.Errorf("make a job object: %w", err)
	}
	// The handle is kept open: the job lives as long as the process.
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
			LimitFlags: windows.JOB_OBJECT_LIMIT_ACTIVE_PROCESS | windows.JOB_OBJECT_LIMIT_PROCESS_MEMORY |
				windows.JOB_OBJECT_LIMIT_PROCESS_TIME | windows.JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION,
			ActiveProcessLimit:      1,
			PerProcessUserTimeLimit: int64(p.CPU / (100 * time.Nanosecond)),
		},
		ProcessMemoryLimit: uintptr(p.Memory),
	}
	if _, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits))); err != nil {
		return fmt.Errorf("limit the job object: %w", err)
	}
	if err := windows.AssignProcessToJobObject(job, windows.CurrentProcess()); err != nil {
		return fmt.Errorf("enter the job object: %w", err)
	}
	return nil
}
