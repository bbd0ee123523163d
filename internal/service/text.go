package service

import (
	"encoding/xml"
	"strings"
)

// command is the program with all its arguments.
func (s Service) command() []string {
	all := append([]string{s.Program}, s.Args...)
	if s.Home != "" {
		all = append(all, "--home", s.Home)
	}
	return all
}

// systemdUnit is the unit without its last line.
func (s Service) systemdUnit() string {
	var words []string
	for _, w := range s.command() {
		words = append(words, systemdQuote(w))
	}
	return strings.NewReplacer("@COMMAND@", strings.Join(words, " "), "@HEAD@", choose(s.System, systemHead, ""),
		"@CONFINED@", choose(s.System, systemConfined, userConfined), "@TARGET@", choose(s.System, "multi-user.target", "default.target")).Replace(systemdFrame)
}

func choose(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

const systemdFrame = `[Unit]
Description=shoal, a compute grid without a coordinator
Documentation=https://github.com/shoalgrid/shoal
@HEAD@
[Service]
Type=notify
NotifyAccess=main
ExecStart=@COMMAND@
Restart=on-failure
RestartSec=10
WatchdogSec=60
# Ends within 3 s by itself, giving back what it has not finished.
TimeoutStopSec=15
KillMode=mixed

# Last in every queue, and the first to go when memory is short. Guests are of the idle class
# anyway, but to the kernel that counts within one control group alone.
CPUWeight=1
IOWeight=1
OOMScoreAdjust=500
OOMPolicy=continue

# No MemoryDenyWriteExecute: it turns the compiler off without a word, and guests run 60
# times slower. No SystemCallFilter: guests have a narrower one, and the lists of systemd 252
# leave out Landlock, which confines them.
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
UMask=0077
@CONFINED@
[Install]
WantedBy=@TARGET@
`

const systemHead = `Wants=network-online.target
After=network-online.target
`

const userConfined = `Slice=background.slice
`

const systemConfined = `
# A user that exists only while it runs, and may write its own folder alone.
DynamicUser=yes
StateDirectory=shoal
StateDirectoryMode=0700
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateMounts=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
DevicePolicy=closed
RemoveIPC=yes
# Seen, because they tell whether the machine is in use: other processes, terminals.
ProtectProc=default
PrivateDevices=no
`

// systemdQuote is a word of ExecStart.
func systemdQuote(word string) string {
	word = strings.NewReplacer("%", "%%", "$", "$$", `\`, `\\`, `"`, `\"`).Replace(word)
	if word == "" || strings.ContainsAny(word, " '\"\\;") {
		return `"` + word + `"`
	}
	return word
}

// launchdPlist is the property list without its last line.
func (s Service) launchdPlist() string {
	var words strings.Builder
	for _, w := range s.logged("/") {
		words.WriteString("\t\t<string>")
		_ = xml.EscapeText(&words, []byte(w)) // a Builder takes everything
		words.WriteString("</string>\n")
	}
	return strings.NewReplacer("@LABEL@", Label, "@WORDS@", words.String()).Replace(launchdFrame)
}

const launchdFrame = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>@LABEL@</string>
	<key>ProgramArguments</key>
	<array>
@WORDS@	</array>
	<key>RunAtLoad</key>
	<true/>
	<key>KeepAlive</key>
	<dict>
		<key>SuccessfulExit</key>
		<false/>
	</dict>
	<key>ThrottleInterval</key>
	<integer>10</integer>
	<key>ProcessType</key>
	<string>Background</string>
	<key>LowPriorityIO</key>
	<true/>
	<key>Umask</key>
	<integer>63</integer>
</dict>
</plist>
`

// logged is the command where no journal listens: it keeps a log of its own, if it is known
// where. What launchd itself would keep of stderr grows for ever.
func (s Service) logged(separator string) []string {
	if s.Home == "" {
		return s.command()
	}
	return append(s.command(), "--quiet", "--log-file", s.Home+separator+"shoal.log")
}

// windowsCommands are for a person with the rights of an administrator. Install does the same.
func (s Service) windowsCommands() string {
	var words []string
	for _, w := range s.logged(`\`) {
		words = append(words, windowsQuote(w))
	}
	line := strings.ReplaceAll(strings.Join(words, " "), `"`, `\"`)
	return "rem A service runs in a session of its own, where it cannot see whether somebody uses the\r\n" +
		"rem machine: it goes by what other programs need. In your own session shoal donate sees more.\r\n" +
		`sc.exe create ` + Name + ` binPath= "` + line + `" start= delayed-auto obj= "NT AUTHORITY\LocalService" DisplayName= "shoal"` + "\r\n" +
		`sc.exe description ` + Name + ` "` + windowsDescription + `"` + "\r\n" +
		`sc.exe failure ` + Name + ` reset= 3600 actions= restart/10000` + "\r\n" +
		`sc.exe start ` + Name + "\r\n"
}

// windowsDescription also says who made a service.
const windowsDescription = "A compute grid without a coordinator. Installed by shoal service install."

// windowsQuote is a word of a command line, as CommandLineToArgvW takes it apart.
func windowsQuote(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\"") {
		return word
	}
	var b strings.Builder
	b.WriteByte('"')
	slashes := 0
	for _, r := range word {
		switch r {
		case '\\':
			slashes++
			continue
		case '"':
			b.WriteString(strings.Repeat(`\`, 2*slashes+1))
		default:
			b.WriteString(strings.Repeat(`\`, slashes))
		}
		slashes = 0
		b.WriteRune(r)
	}
	b.WriteString(strings.Repeat(`\`, 2*slashes))
	b.WriteByte('"')
	return b.String()
}

// SystemHome is where the machine's own node lives on a kind of system; programData is
// Windows' folder of that name.
func SystemHome(system, programData string) string {
	switch system {
	case Darwin:
		return "/Library/Application Support/shoal"
	case Windows:
		if programData == "" {
			programData = `C:\ProgramData`
		}
		return programData + `\shoal`
	}
	return "/var/lib/shoal"
}
