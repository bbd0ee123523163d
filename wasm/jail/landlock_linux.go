package jail

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What Landlock can forbid, by the version of its interface that first could.
const (
	landlockFiles1 = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
	landlockFiles2 = landlockFiles1 | unix.LANDLOCK_ACCESS_FS_REFER
	landlockFiles3 = landlockFiles2 | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	landlockFiles5 = landlockFiles3 | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	landlockNet4   = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	landlockScope6 = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
)

// landlockRules is everything that the given version of the interface can forbid.
func landlockRules(version uintptr) (rules unix.LandlockRulesetAttr) {
	switch {
	case version >= 5:
		rules.Handled_access_fs = landlockFiles5
	case version >= 3:
		rules.Handled_access_fs = landlockFiles3
	case version == 2:
		rules.Handled_access_fs = landlockFiles2
	default:
		rules.Handled_access_fs = landlockFiles1
	}
	if version >= 4 {
		rules.Handled_access_net = landlockNet4
	}
	if version >= 6 {
		rules.Scoped = landlockScope6
	}
	return rules
}

// landlock forbids all files but those below dir, if that is given, TCP, and signals to
// processes outside.
func landlock(dir string) error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return fmt.Errorf("this kernel has no Landlock: %w", errno)
	}
	rules := landlockRules(version)
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules), 0)
	if errno != 0 {
		return fmt.Errorf("make rules: %w", errno)
	}
	defer unix.Close(int(fd))
	if dir != "" {
		if err := landlockAllow(fd, dir, rules.Handled_access_fs&landlockFiles3); err != nil {
			return err
		}
	}
	if version >= 8 {
		if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, unix.LANDLOCK_RESTRICT_SELF_TSYNC, 0); errno == 0 {
			return nil
		}
	}
	if cgo {
		return errors.New("a build with cgo cannot apply it to all threads")
	}
	return allThreads(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0)
}

func landlockAllow(rules uintptr, dir string, access uint64) error {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer unix.Close(fd)
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access &^ unix.LANDLOCK_ACCESS_FS_EXECUTE, Parent_fd: int32(fd)}
	if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, rules, unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
		return fmt.Errorf("allow %s: %w", dir, errno)
	}
	return nil
}
