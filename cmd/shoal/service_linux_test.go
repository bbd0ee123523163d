package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServiceSpeaksToItsManager starts a node as systemd does, and listens as it does.
func TestServiceSpeaksToItsManager(t *testing.T) {
	dir := t.TempDir()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	log := filepath.Join(dir, "shoal.log")
	cmd := exec.Command("shoal", "up", "--no-mdns", "--listen", "127.0.0.1:0", "--home", filepath.Join(dir, "home"), "--log-file", log)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"), "WATCHDOG_USEC=300000")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	hear := func(wants ...string) {
		t.Helper()
		b := make([]byte, 4096)
		if err := socket.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for len(wants) > 0 {
			n, err := socket.Read(b)
			if err != nil {
				t.Fatalf("waiting for %q: %v\n%s", wants[0], err, said.Bytes())
			}
			if strings.HasPrefix(string(b[:n]), wants[0]) {
				wants = wants[1:]
			}
		}
	}
	hear("READY=1", "STATUS=keeping and relaying for ", "WATCHDOG=1", "WATCHDOG=1")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	hear("STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended by its manager: %v\n%s", err, said.Bytes())
	}
	if text := read(t, log); !strings.Contains(text, `doing="keeping and relaying for 0 peers"`) {
		t.Errorf("the log says\n%s", text)
	}
}

// TestUnderSystemd installs the service in a real systemd, which runs for a user in a corner
// of its own: its own /run and its own processes, all of which end with it.
func TestUnderSystemd(t *testing.T) {
	const systemd = "/lib/systemd/systemd"
	if _, err := os.Stat(systemd); err != nil {
		t.Skip("systemd is not installed")
	}
	shoal, err := exec.LookPath("shoal")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	script := filepath.Join(home, "script")
	write(t, script, underSystemd)
	args := []string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", script, systemd, shoal}
	if os.Getuid() != 0 {
		args = append([]string{"--map-root-user"}, args...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", args...)
	cmd.WaitDelay = time.Second
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "SHOAL_HOME=" + filepath.Join(home, "node"), "XDG_RUNTIME_DIR=/run/user"}
	out, err := cmd.CombinedOutput()
	said := string(out)
	if strings.Contains(said, "NO MANAGER") || strings.Contains(said, "unshare:") {
		t.Skip("systemd does not run in a corner of this machine: ", said)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, want := range []string{
		"installed " + home + "/.config/systemd/user/shoal.service · active (running)",
		"to let it go on: loginctl enable-linger",
		"FIRST state     active (running): keeping and relaying for 0 peers",
		"AGAIN state     active (running)",
		"KILLED its process is another one",
		"removed " + home + "/.config/systemd/user/shoal.service",
		"LAST service   not installed",
		"STOPPED inactive",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it never said %q", want)
		}
	}
	if t.Failed() {
		t.Log(said)
	}
}

const underSystemd = `
mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/user && chmod 700 /run/user || { echo NO MANAGER; exit 0; }
$1 --user --log-target=null &
until systemctl --user list-units >/dev/null 2>&1; do
    kill -0 $! && n=$((n + 1)) && [ $n -lt 100 ] || { echo NO MANAGER; exit 0; }
    sleep 0.1
done
field() { systemctl --user show shoal.service --property=$1 --value; }
$2 service install --relay -- --no-mdns --listen 127.0.0.1:0 || { systemctl --user status shoal.service; exit 1; }
for i in $(seq 150); do $2 service status | grep -q keeping && break; sleep 0.2; done
echo FIRST "$($2 service status | grep ^state)"
$2 service install --relay -- --no-mdns --listen 127.0.0.1:0 || exit 1
echo AGAIN "$($2 service status | grep ^state)"
pid=$(field MainPID)
kill -9 $pid
for i in $(seq 150); do [ "$(field ActiveState)" = active ] && [ "$(field MainPID)" != $pid ] && echo KILLED its process is another one && break; sleep 0.2; done
$2 service uninstall || exit 1
echo LAST "$($2 service status)"
echo STOPPED "$(field ActiveState)"
`
