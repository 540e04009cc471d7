package host

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

const header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

func TestDefaultRoute(t *testing.T) {
	lan := header + "eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
	require.Equal(t, Less, defaultRoute(made(map[string]string{"/proc/net/route": lan})).State)
	out := lan + "eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
	require.Equal(t, "the default route leaves by eth0", defaultRoute(made(map[string]string{"/proc/net/route": out})).Text)
	const zero = "00000000000000000000000000000000"
	six := zero + " 00 " + zero + " 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 wlan0\n"
	require.Equal(t, OK, defaultRoute(made(map[string]string{"/proc/net/ipv6_route": six})).State)
	reject := zero + " 00 " + zero + " 00 " + zero + " ffffffff 00000001 00000000 00200200 lo\n"
	require.Equal(t, Less, defaultRoute(made(map[string]string{"/proc/net/ipv6_route": reject})).State)
}

func TestResolver(t *testing.T) {
	require.Equal(t, Less, resolver(made(map[string]string{"/etc/resolv.conf": "# nameserver 1.2.3.4\nsearch lan\n"})).State)
	require.Equal(t, "names are looked up at 127.0.0.53", resolver(made(map[string]string{"/etc/resolv.conf": "nameserver 127.0.0.53\n"})).Text)
}

func TestProxyKeepsThePassword(t *testing.T) {
	for value, want := range map[string]string{
		"http://user:secret@proxy.lan:3128": "HTTPS_PROXY sends requests through proxy.lan:3128",
		"proxy.lan:3128":                    "HTTPS_PROXY sends requests through proxy.lan:3128",
		"http://user:secret@%zz":            "HTTPS_PROXY holds no address of a proxy: " + withoutNetwork,
	} {
		h := made(nil)
		h.Env = environment(map[string]string{"HTTPS_PROXY": value})
		require.Equal(t, want, proxy(h).Text)
		require.NotContains(t, proxy(h).Text+proxy(h).Brief, "secret")
	}
	require.Equal(t, "no proxy", proxy(made(nil)).Brief)
}

func TestCertificates(t *testing.T) {
	h := made(map[string]string{"/etc/pki/tls/certs/ca-bundle.crt": ""})
	require.Equal(t, OK, certificates(h).State)
	h.Env = environment(map[string]string{"SSL_CERT_FILE": "/gone.pem"})
	require.Equal(t, Less, certificates(h).State)
}

func TestCredentials(t *testing.T) {
	h := made(nil)
	h.Env = environment(map[string]string{"HOME": "/home/alice"})
	require.Equal(t, "no credentials", credentials(h).Brief)
	file := &fstest.MapFile{Mode: 0o644}
	h.Files.(fstest.MapFS)["home/alice/.docker/config.json"] = file
	require.Equal(t, []string{"chmod 600 /home/alice/.docker/config.json"}, credentials(h).Mend)
	file.Mode = 0o600
	require.Equal(t, "from /home/alice/.docker/config.json", credentials(h).Text)
}
