//go:build !linux && !darwin && !windows

package jail

import "errors"

// Limit has nothing for this system.
func Limit(Plan) []Lock {
	var l locks
	l.add(Rlimits, errors.New("not written for this system"))
	return l
}

// Shut has nothing for this system.
func Shut(Plan) []Lock {
	var l locks
	l.add(NoPrivileges, errors.New("not written for this system"))
	l.add(SystemCalls, errors.New("not written for this system"))
	return l
}
