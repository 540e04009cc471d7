package api

// Image is an image, as of GET /images/{name}/json.
type Image struct {
	ID            string `json:"Id"`
	RepoTags      []string
	RepoDigests   []string
	Parent        string
	Comment       string
	Created       string
	DockerVersion string
	Author        string
	Config        Config
	Architecture  string
	Variant       string `json:",omitempty"`
	Os            string
	Size          int64
	GraphDriver   GraphDriver
	RootFS        RootFS
	Metadata      Metadata
}

// RootFS names the layers of an image by the digests of their uncompressed tars.
type RootFS struct {
	Type   string
	Layers []string `json:",omitempty"`
}

// Metadata is what the store knows of an image.
type Metadata struct{ LastTagTime string }

// Volume is a volume, as of GET /volumes/{name}.
type Volume struct {
	CreatedAt  string
	Driver     string
	Labels     map[string]string
	Mountpoint string
	Name       string
	Options    map[string]string
	Scope      string
}

// Network is a network, as of GET /networks/{id}.
type Network struct {
	Name       string
	ID         string `json:"Id"`
	Created    string
	Scope      string
	Driver     string
	EnableIPv6 bool
	IPAM       IPAM
	Internal   bool
	Attachable bool
	Ingress    bool
	ConfigFrom struct{ Network string }
	ConfigOnly bool
	Containers map[string]Member // by id
	Options    map[string]string
	Labels     map[string]string
}

// IPAM is how the addresses of a network are given out.
type IPAM struct {
	Driver  string
	Options map[string]string
	Config  []Pool
}

// Pool is a range of addresses.
type Pool struct {
	Subnet  string
	Gateway string `json:",omitempty"`
	IPRange string `json:",omitempty"`

	AuxiliaryAddresses map[string]string `json:",omitempty"`
}

// Member is a container on a network.
type Member struct {
	Name        string
	EndpointID  string
	MacAddress  string
	IPv4Address string // with the length of its prefix, as in 172.17.0.2/16
	IPv6Address string
}
