package pulseagent

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// serve answers each connection of a port of its own with the function.
func serve(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				answer(connection)
			}()
		}
	}()
	return listener.Addr().String()
}

func serveTLS(t *testing.T, change func(*tls.Config)) (address string, trusting *tls.Config) {
	t.Helper()
	// It has a certificate for 127.0.0.1, and a client that trusts it.
	https := httptest.NewTLSServer(nil)
	t.Cleanup(https.Close)
	config := https.TLS.Clone()
	config.NextProtos = nil
	if change != nil {
		change(config)
	}
	roots := x509.NewCertPool()
	roots.AddCert(https.Certificate())
	trusting = &tls.Config{RootCAs: roots}
	return serve(t, func(plain net.Conn) {
		secure := tls.Server(plain, config)
		if secure.Handshake() == nil {
			io.CopyN(io.Discard, secure, 8)
		}
	}), trusting
}

// methodFrame is a frame of AMQP with a method of the connection.
func methodFrame(method uint16, arguments []byte) []byte {
	payload := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, 10), method)
	payload = append(payload, arguments...)
	frame := binary.BigEndian.AppendUint32([]byte{1, 0, 0}, uint32(len(payload)))
	return append(append(frame, payload...), 0xce)
}

func longString(text string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
}

// begin starts a handshake as RabbitMQ does, and returns what the client answers.
func begin(connection net.Conn) []byte { return beginWith(connection, "PLAIN AMQPLAIN") }

func beginWith(connection net.Conn, mechanisms string) []byte {
	io.CopyN(io.Discard, connection, 8)
	start := append([]byte{0, 9}, longString("")...)
	start = append(append(start, longString(mechanisms)...), longString("en_US")...)
	connection.Write(methodFrame(10, start))
	buffer := make([]byte, 4096)
	n, _ := connection.Read(buffer)
	return buffer[:n]
}

func closeFrame(code uint16, text string) []byte {
	arguments := append(binary.BigEndian.AppendUint16(nil, code), byte(len(text)))
	return methodFrame(50, append(append(arguments, text...), 0, 0, 0, 0))
}

func TestSaysWhyItCannotConnect(t *testing.T) {
	answered := make(chan []byte, 10)
	refusing := func(code uint16, text string) string {
		return serve(t, func(connection net.Conn) {
			answered <- begin(connection)
			connection.Write(closeFrame(code, text))
			io.Copy(io.Discard, connection)
		})
	}
	without := serve(t, func(connection net.Conn) {
		beginWith(connection, "EXTERNAL")
		io.Copy(io.Discard, connection)
	})
	plain := serve(t, func(connection net.Conn) { connection.Write([]byte("AMQP\x00\x00\x09\x01")) })
	// As Erlang does; Go says nothing.
	alerting := serve(t, func(connection net.Conn) { connection.Write([]byte{tlsAlert, 3, 3, 0, 2, 2, 70}) })
	secure, trusting := serveTLS(t, nil)
	wants13, _ := serveTLS(t, func(config *tls.Config) { config.ClientAuth = tls.RequireAnyClientCert })
	wants12, _ := serveTLS(t, func(config *tls.Config) {
		config.ClientAuth, config.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
	})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, test := range map[string]struct {
		url     string
		tls     *tls.Config
		refused Refusal
		message string
	}{
		"a wrong password":      {"amqp://" + refusing(403, "ACCESS_REFUSED - Login was refused"), nil, RefusedUser, "user or its password"},
		"a wrong vhost":         {"amqp://" + refusing(530, "NOT_ALLOWED - vhost x not found") + "/x", nil, RefusedVhost, "vhost x: vhost x not found. It must"},
		"no right in the vhost": {"amqp://" + refusing(403, "ACCESS_REFUSED - access to vhost 'x' refused") + "/x", nil, RefusedVhost, "must have permissions"},
		"a limit":               {"amqp://" + refusing(530, "NOT_ALLOWED - access to vhost 'x' refused for user 'u': connection limit (1) is reached"), nil, "", "limit (1) is reached"},
		"a vhost that is down":  {"amqp://" + refusing(530, "NOT_ALLOWED - vhost 'x' is down"), nil, "", "is down"},
		// A broker that stops in the middle of a login looks like one that refuses it without a word.
		"an end in the login":           {"amqp://" + serve(t, func(connection net.Conn) { begin(connection) }), nil, "", "cannot be reached"},
		"no way to log in":              {"amqp://" + without, nil, "", "mechanism"},
		"TLS to a plain port":           {"amqps://" + plain, nil, RefusedTLS, "does not speak TLS"},
		"no TLS to a TLS port":          {"amqp://" + alerting, nil, RefusedTLS, "speaks TLS"},
		"a strange certificate":         {"amqps://" + secure, nil, RefusedTLS, "does not trust"},
		"another host name":             {"amqps://" + strings.Replace(secure, "127.0.0.1", "localhost", 1), trusting, RefusedTLS, "localhost"},
		"a wanted certificate, TLS 1.3": {"amqps://" + wants13, trusting, RefusedTLS, "client certificate"},
		"a wanted certificate, TLS 1.2": {"amqps://" + wants12, trusting, RefusedTLS, "client certificate"},
		"a port that hangs up":          {"amqp://" + serve(t, func(net.Conn) {}), nil, "", "before the handshake"},
		"a closed port":                 {"amqp://" + closed.Addr().String(), nil, "", "connection refused"},
	} {
		urls, err := parseURLs(strings.Replace(test.url, "://", "://user:secret@", 1))
		if err != nil {
			t.Fatal(err)
		}
		_, err = dial(t.Context(), urls[0], dialOptions{tls: test.tls})
		code := Unavailable
		if test.refused != "" {
			code = BrokerRefused
		}
		var failed *Error
		if !errors.As(err, &failed) || failed.Code != code || failed.Refused != test.refused || !strings.Contains(failed.Message, test.message) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !bytes.Contains(<-answered, []byte("authentication_failure_close")) {
		t.Error("RabbitMQ would only hang up")
	}
	if left := goroutinesLeft("amqp091"); left != "" {
		t.Error(left)
	}
}

func TestGivesUpConnecting(t *testing.T) {
	urls, _ := parseURLs("amqp://" + silentServer(t))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := dial(ctx, urls[0], dialOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
