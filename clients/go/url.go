package pulseagent

import (
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// brokerURL has the parts of an AMQP URL, decoded.
type brokerURL struct {
	scheme         string
	host, port     string
	user, password string
	// vhost is "" if the URL has no path.
	vhost string
	// heartbeat is 0 if the URL says none.
	heartbeat time.Duration
}

var (
	// A comma in front of a scheme separates two URLs. Any other belongs to a user, a password or a vhost.
	betweenURLs   = regexp.MustCompile(`(?i) *, *([a-z][a-z0-9+.-]*://)`)
	unprintable   = regexp.MustCompile(`[\x00-\x1f\x7f]|^ | $`)
	defaultPorts  = map[string]string{"amqp": "5672", "amqps": "5671"}
	maxVhostBytes = 255
)

// parseURLs reads AMQP URLs with commas between them, which differ in host and port only. No error holds a part of the
// text, which has a password.
func parseURLs(text string) ([]brokerURL, error) {
	parts := strings.Split(betweenURLs.ReplaceAllString(text, "\n$1"), "\n")
	urls := make([]brokerURL, len(parts))
	hosts := map[string]bool{}
	for i, part := range parts {
		one, fault := parseURL(part)
		if i > 0 && fault == "" {
			first := urls[0]
			if one.scheme != first.scheme || one.user != first.user || one.password != first.password || one.vhost != first.vhost {
				fault = "must have the same scheme, user, password and vhost in each of its URLs: they lead to one RabbitMQ"
			}
		}
		if fault == "" && hosts[one.address()] {
			fault = "must name each host and port once"
		}
		if fault != "" {
			return nil, inputError("url", "The URL of RabbitMQ %s.", fault)
		}
		hosts[one.address()] = true
		urls[i] = one
	}
	return urls, nil
}

// parseURL returns what is wrong with the URL as the second value, without a part of it.
func parseURL(text string) (brokerURL, string) {
	none := brokerURL{}
	if unprintable.MatchString(text) {
		return none, "must have no line breaks or other control characters, and no space at either end"
	}
	if lower := strings.ToLower(text); !strings.HasPrefix(lower, "amqp://") && !strings.HasPrefix(lower, "amqps://") {
		return none, "must be a URL with a host that begins with amqp:// or amqps://"
	}
	if strings.Contains(text, "#") {
		return none, "must have no #: write %23 for one that belongs to a user or a password"
	}
	parsed, err := url.Parse(text)
	// Its error holds the URL.
	if err != nil || parsed.Hostname() == "" || strings.HasSuffix(parsed.Host, ",") {
		return none, "must be a URL with a host that begins with amqp:// or amqps://: check its host and port, and percent-encode special characters of a user and a password"
	}
	one := brokerURL{scheme: strings.ToLower(parsed.Scheme), host: parsed.Hostname(), port: parsed.Port(), user: "guest", password: "guest"}
	if parsed.User != nil {
		one.user = parsed.User.Username()
		one.password, _ = parsed.User.Password()
		if one.user == "" || one.password == "" {
			return none, "must have the password of its user, and the user of its password"
		}
	}
	// "//" is a common way to write the vhost "/".
	if path := parsed.EscapedPath(); path == "//" {
		one.vhost = "/"
	} else if path = strings.TrimPrefix(path, "/"); strings.Contains(path, "/") {
		return none, "must have no further / in its path, the vhost: write %2F for it"
	} else if one.vhost = strings.TrimPrefix(parsed.Path, "/"); len(one.vhost) > maxVhostBytes {
		return none, "must name a vhost of at most 255 bytes"
	}
	if strings.Contains(one.user+one.password+one.vhost, "\x00") {
		return none, "must have no %00 in its user, password or vhost"
	}
	if text := parsed.Query().Get("heartbeat"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return none, "must have a whole number as heartbeat"
		}
		one.heartbeat = time.Duration(seconds) * time.Second
	}
	return one, ""
}

// address is the host and the port.
func (u brokerURL) address() string {
	port := u.port
	if port == "" {
		port = defaultPorts[u.scheme]
	}
	return net.JoinHostPort(u.host, port)
}

// withVhost returns the URLs with another vhost.
func withVhost(urls []brokerURL, vhost string) []brokerURL {
	changed := make([]brokerURL, len(urls))
	for i, one := range urls {
		one.vhost = vhost
		changed[i] = one
	}
	return changed
}
