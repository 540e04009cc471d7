// Package api has the objects of the Docker Engine API, version 1.47, as far as box knows what
// to say in them: what docker inspect prints of containers, images, volumes and networks, under
// the names that scripts know. A field that no stage fills yet is there for a later one. No
// lesson reads it.
package api

import (
	"slices"
	"time"
)

// Time is a moment as the API writes it; the zero Time is "0001-01-01T00:00:00Z".
func Time(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Container is a container, as of GET /containers/{id}/json.
type Container struct {
	ID              string `json:"Id"`
	Created         string
	Path            string // the program
	Args            []string
	State           State
	Image           string // the id
	ResolvConfPath  string
	HostnamePath    string
	HostsPath       string
	LogPath         string
	Name            string // with a slash in front
	RestartCount    int
	Driver          string
	Platform        string
	MountLabel      string
	ProcessLabel    string
	AppArmorProfile string
	ExecIDs         []string
	HostConfig      HostConfig
	GraphDriver     GraphDriver
	Mounts          []MountPoint
	Config          Config
	NetworkSettings NetworkSettings
}

// State is the state of a container's process. Times are as Time writes them.
type State struct {
	Status     string
	Running    bool
	Paused     bool
	Restarting bool
	OOMKilled  bool
	Dead       bool
	Pid        int
	ExitCode   int
	Error      string
	StartedAt  string
	FinishedAt string
	Health     *Health `json:",omitempty"`
}

// Health is what a health check has found.
type Health struct {
	Status        string
	FailingStreak int
	Log           []HealthResult
}

// HealthResult is one run of a health check.
type HealthResult struct {
	Start, End string
	ExitCode   int
	Output     string
}

// GraphDriver says where the layers are.
type GraphDriver struct {
	Data map[string]string
	Name string
}

// MountPoint is a mount that was requested.
type MountPoint struct {
	Type        string
	Name        string `json:",omitempty"` // of a volume
	Source      string
	Destination string
	Driver      string `json:",omitempty"`
	Mode        string
	RW          bool
	Propagation string
}

// Config is what an image says of its containers, or what a container was asked to be.
type Config struct {
	Hostname     string
	Domainname   string
	User         string
	AttachStdin  bool
	AttachStdout bool
	AttachStderr bool
	ExposedPorts map[string]struct{} `json:",omitempty"`
	Tty          bool
	OpenStdin    bool
	StdinOnce    bool
	Env          []string
	Cmd          []string
	Healthcheck  any `json:",omitempty"`
	Image        string
	Volumes      map[string]struct{}
	WorkingDir   string
	Entrypoint   []string
	OnBuild      []string
	Labels       map[string]string
	StopSignal   string   `json:",omitempty"`
	StopTimeout  *int     `json:",omitempty"` // in seconds
	Shell        []string `json:",omitempty"`
	ArgsEscaped  bool     `json:",omitempty"` // of an image
}

// HostConfig is what a container was granted by the host, and its limits.
type HostConfig struct {
	Binds           []string
	ContainerIDFile string
	LogConfig       LogConfig
	NetworkMode     string
	PortBindings    map[string][]PortBinding
	RestartPolicy   RestartPolicy
	AutoRemove      bool
	VolumeDriver    string
	VolumesFrom     []string
	ConsoleSize     [2]int
	CapAdd          []string
	CapDrop         []string
	CgroupnsMode    string
	DNS             []string `json:"Dns"`
	DNSOptions      []string `json:"DnsOptions"`
	DNSSearch       []string `json:"DnsSearch"`
	ExtraHosts      []string
	GroupAdd        []string
	IpcMode         string
	Cgroup          string
	Links           []string
	OomScoreAdj     int
	PidMode         string
	Privileged      bool
	PublishAllPorts bool
	ReadonlyRootfs  bool
	SecurityOpt     []string
	Tmpfs           map[string]string `json:",omitempty"`
	UTSMode         string
	UsernsMode      string
	ShmSize         int64
	Sysctls         map[string]string `json:",omitempty"`
	Runtime         string
	Isolation       string
	Annotations     map[string]string `json:",omitempty"`

	CPUShares            int64 `json:"CpuShares"`
	Memory               int64
	NanoCPUs             int64 `json:"NanoCpus"`
	CgroupParent         string
	BlkioWeight          int
	BlkioWeightDevice    []ThrottleDevice
	BlkioDeviceReadBps   []ThrottleDevice
	BlkioDeviceWriteBps  []ThrottleDevice
	BlkioDeviceReadIOps  []ThrottleDevice
	BlkioDeviceWriteIOps []ThrottleDevice
	CPUPeriod            int64 `json:"CpuPeriod"`
	CPUQuota             int64 `json:"CpuQuota"`
	CpusetCpus           string
	CpusetMems           string
	Devices              []Device
	DeviceCgroupRules    []string
	DeviceRequests       []string
	MemoryReservation    int64
	MemorySwap           int64
	MemorySwappiness     *int64
	OomKillDisable       *bool
	PidsLimit            *int64
	Ulimits              []Ulimit
	CPUCount             int64 `json:"CpuCount"`
	CPUPercent           int64 `json:"CpuPercent"`
	IOMaximumIOps        int64
	IOMaximumBandwidth   int64
	Mounts               []Mount `json:",omitempty"`
	MaskedPaths          []string
	ReadonlyPaths        []string
	Init                 *bool `json:",omitempty"`
}

// LogConfig says how the log is kept.
type LogConfig struct {
	Type   string
	Config map[string]string
}

// RestartPolicy says when a container that has ended is started again.
type RestartPolicy struct {
	Name              string
	MaximumRetryCount int
}

// PortBinding is an address and a port of the host.
type PortBinding struct {
	HostIP   string `json:"HostIp"`
	HostPort string
}

// ThrottleDevice is a limit of a block device; the path may be its number.
type ThrottleDevice struct {
	Path string
	Rate int64
}

// Device is a device of the host that a container has.
type Device struct {
	PathOnHost, PathInContainer, CgroupPermissions string
}

// Ulimit is a limit of setrlimit(2).
type Ulimit struct {
	Name       string
	Hard, Soft int64
}

// Mount is a value of --mount.
type Mount struct {
	Type     string
	Source   string `json:",omitempty"`
	Target   string
	ReadOnly bool `json:",omitempty"`

	TmpfsOptions *TmpfsOptions `json:",omitempty"`
}

// TmpfsOptions are the size and the mode of a tmpfs.
type TmpfsOptions struct {
	SizeBytes int64  `json:",omitempty"`
	Mode      uint32 `json:",omitempty"`
}

// NetworkSettings is how a container is connected at the moment.
type NetworkSettings struct {
	Bridge                 string
	SandboxID              string
	SandboxKey             string
	Ports                  map[string][]PortBinding
	HairpinMode            bool
	LinkLocalIPv6Address   string
	LinkLocalIPv6PrefixLen int
	SecondaryIPAddresses   []string
	SecondaryIPv6Addresses []string
	EndpointID             string
	Gateway                string
	GlobalIPv6Address      string
	GlobalIPv6PrefixLen    int
	IPAddress              string
	IPPrefixLen            int
	IPv6Gateway            string
	MacAddress             string
	Networks               map[string]*Endpoint
}

// Default adds the addresses on the default network, which are in the settings themselves too.
func (s *NetworkSettings) Default(e *Endpoint) {
	s.EndpointID, s.Gateway, s.IPAddress, s.IPPrefixLen = e.EndpointID, e.Gateway, e.IPAddress, e.IPPrefixLen
	s.GlobalIPv6Address, s.GlobalIPv6PrefixLen, s.IPv6Gateway = e.GlobalIPv6Address, e.GlobalIPv6PrefixLen, e.IPv6Gateway
	s.MacAddress = e.MacAddress
}

// Endpoint is a container on a network.
type Endpoint struct {
	IPAMConfig          map[string]string
	Links               []string
	Aliases             []string
	MacAddress          string
	DriverOpts          map[string]string
	NetworkID           string
	EndpointID          string
	Gateway             string
	IPAddress           string
	IPPrefixLen         int
	IPv6Gateway         string
	GlobalIPv6Address   string
	GlobalIPv6PrefixLen int
	DNSNames            []string
}

// SetShared notes the namespaces that a container shares with the host.
func (h *HostConfig) SetShared(kinds []string) {
	for namespace, mode := range map[string]*string{"net": &h.NetworkMode, "ipc": &h.IpcMode, "pid": &h.PidMode, "uts": &h.UTSMode, "cgroup": &h.CgroupnsMode} {
		if slices.Contains(kinds, namespace) {
			*mode = "host"
		}
	}
}
