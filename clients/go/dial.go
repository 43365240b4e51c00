package pulseagent

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// How long RabbitMQ may take to accept a connection.
	connectTimeout = 10 * time.Second
	// How long RabbitMQ may take to confirm that a connection is closed.
	closeTimeout = 2 * time.Second
)

// brokerConnection is an open connection that can be closed at any time. During an alarm RabbitMQ does not read from
// connections that publish: amqp.Connection.Close would wait until the alarm is over.
type brokerConnection struct {
	*amqp.Connection
	socket *recordedConn
	// avoidAddress: the next connection is opened at another address, if there is one that works.
	avoidAddress func()
}

// Close closes the connection, by force if RabbitMQ does not answer.
func (c *brokerConnection) Close() error {
	defer time.AfterFunc(closeTimeout, func() { c.socket.Close() }).Stop()
	err := c.Connection.Close()
	c.socket.Close()
	if errors.Is(err, amqp.ErrClosed) {
		return nil
	}
	return err
}

// dialOptions are those of one connection.
type dialOptions struct {
	tls *tls.Config
	// heartbeat is the pause between two heartbeats, unless the URL says it.
	heartbeat time.Duration
	// writeTimeout ends the connection if RabbitMQ does not read for as long, 0: never.
	writeTimeout time.Duration
}

// dial connects to RabbitMQ at one address. It returns the cause of the context when that ends first, or an *Error whose
// message does not hold the URL.
func dial(ctx context.Context, to brokerURL, options dialOptions) (*brokerConnection, error) {
	limited, cancel := context.WithTimeoutCause(ctx, connectTimeout, errors.New("RabbitMQ did not answer in time"))
	defer cancel()
	plain, err := (&net.Dialer{}).DialContext(limited, "tcp", to.address())
	if err != nil {
		return nil, whyNotConnected(ctx, limited, to, &recordedConn{}, err)
	}
	// Nothing in the library takes a context.
	stop := context.AfterFunc(limited, func() { plain.Close() })
	defer stop()
	socket := &recordedConn{Conn: plain, writeTimeout: options.writeTimeout}
	if to.scheme == "amqps" {
		config := options.tls.Clone()
		if config == nil {
			config = &tls.Config{}
		}
		if config.ServerName == "" {
			config.ServerName = to.host
		}
		secure := tls.Client(plain, config)
		if err := secure.HandshakeContext(limited); err != nil {
			plain.Close()
			return nil, whyNotConnected(ctx, limited, to, socket, err)
		}
		socket.Conn = secure
	}
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName("pulse-agent client")
	pause := options.heartbeat
	if to.heartbeat > 0 {
		pause = to.heartbeat
	}
	vhost := to.vhost
	if vhost == "" {
		vhost = "/"
	}
	connection, err := amqp.Open(socket, amqp.Config{
		Vhost:      vhost,
		Heartbeat:  pause,
		FrameSize:  131072,
		Locale:     "en_US",
		Properties: properties,
		SASL:       []amqp.Authentication{plainLogin{to.user, to.password, properties}},
	})
	if err == nil && !stop() {
		err = context.Cause(limited)
	}
	if err != nil {
		// The library leaves it open after some errors.
		socket.Close()
		return nil, whyNotConnected(ctx, limited, to, socket, err)
	}
	return &brokerConnection{Connection: connection, socket: socket, avoidAddress: func() {}}, nil
}

// plainLogin makes RabbitMQ say that it refuses a login: without the capability it only closes the connection, some
// seconds later, and a broker that stops looks the same. amqp091-go sets the capabilities just before it asks for the
// response, and offers no way to add one.
type plainLogin struct {
	user, password string
	properties     amqp.Table
}

func (plainLogin) Mechanism() string { return "PLAIN" }

func (l plainLogin) Response() string {
	if capabilities, isTable := l.properties["capabilities"].(amqp.Table); isTable {
		capabilities["authentication_failure_close"] = true
	}
	return "\x00" + l.user + "\x00" + l.password
}

// recordedConn remembers how the other side began, and why reading ended: amqp091-go reports neither.
type recordedConn struct {
	net.Conn
	writeTimeout time.Duration

	mutex    sync.Mutex
	received bool
	first    byte
	readErr  error
}

func (c *recordedConn) Read(buffer []byte) (int, error) {
	n, err := c.Conn.Read(buffer)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if n > 0 && !c.received {
		c.received, c.first = true, buffer[0]
	}
	if err != nil && c.readErr == nil {
		c.readErr = err
	}
	return n, err
}

func (c *recordedConn) Write(buffer []byte) (int, error) {
	if c.writeTimeout > 0 {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.writeTimeout)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(buffer)
}

func (c *recordedConn) record() (received bool, first byte, readErr error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.received, c.first, c.readErr
}

const (
	trustAdvice = "Use a host name of the certificate, and trust the CA that signed it: with Options.TLS, or with SSL_CERT_FILE for Go itself."
	// The first byte of an answer of TLS to a handshake that is none.
	tlsAlert = 0x15
)

var (
	codeNames = regexp.MustCompile(`^[A-Z]+[_-][A-Z]+ - `)
	// A limit of connections is free again when another one closes; a vhost that is down may come back.
	temporary = regexp.MustCompile(`limit \(\d+\) is reached| is down\b`)
	// With which a server refuses a client without a certificate.
	certificateAlerts = regexp.MustCompile(`certificate required|handshake failure|bad certificate|unknown certificate authority`)
)

// whyNotConnected: BrokerRefused if another attempt has the same end, or else Unavailable.
func whyNotConnected(ctx, limited context.Context, to brokerURL, socket *recordedConn, cause error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if limited.Err() != nil {
		return unavailable(context.Cause(limited), "RabbitMQ did not answer in %s.", connectTimeout)
	}
	var reason *amqp.Error
	if errors.As(cause, &reason) && reason.Server {
		text := strings.TrimRight(codeNames.ReplaceAllString(reason.Reason, ""), ". ")
		switch {
		case reason.Code == amqp.AccessRefused && !strings.Contains(text, "vhost"):
			return brokerRefused(RefusedUser, cause, "RabbitMQ refuses the user or its password.")
		case (reason.Code == amqp.NotAllowed || reason.Code == amqp.AccessRefused) && !temporary.MatchString(text):
			return brokerRefused(RefusedVhost, cause, "RabbitMQ refuses the vhost %s: %s. It must exist, and this user must have permissions in it.", to.vhost, text)
		}
		return unavailable(cause, "RabbitMQ refuses the connection: %s.", text)
	}
	received, first, readErr := socket.record()
	_, port, _ := net.SplitHostPort(to.address())
	if to.scheme == "amqps" {
		if err := whyNoTLS(port, errors.Join(cause, readErr)); err != nil {
			return err
		}
	} else if received && first == tlsAlert {
		return brokerRefused(RefusedTLS, cause, "The port %s speaks TLS: use amqps://, or the port that RabbitMQ has for amqp.", port)
	}
	if !received && (errors.Is(readErr, io.EOF) || errors.Is(readErr, syscall.ECONNRESET)) {
		other := "TLS, for which the URL begins with amqps://,"
		if to.scheme == "amqps" {
			other = "another protocol"
		}
		return unavailable(cause, "The port %s closes connections before the handshake: RabbitMQ starts or stops, or the port is for %s or for HTTP.", port, other)
	}
	if readErr != nil && !errors.Is(readErr, net.ErrClosed) {
		cause = readErr
	}
	return unavailable(cause, "RabbitMQ cannot be reached: %s.", reasonOf(cause))
}

// whyNoTLS is nil for an error that has nothing to do with TLS.
func whyNoTLS(port string, cause error) error {
	var (
		noTLS       tls.RecordHeaderError
		alert       *net.OpError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.As(cause, &noTLS):
		return brokerRefused(RefusedTLS, cause, "The port %s does not speak TLS: use amqp://, or the port that RabbitMQ has for amqps.", port)
	case errors.As(cause, &certificate):
		return brokerRefused(RefusedTLS, cause, "This machine does not trust the certificate of RabbitMQ: %s. %s", certificate.Err, trustAdvice)
	// The type of alerts is not exported.
	case errors.As(cause, &alert) && alert.Op == "remote error" && certificateAlerts.MatchString(alert.Err.Error()):
		return brokerRefused(RefusedTLS, cause, "RabbitMQ wants a client certificate (verify_peer): give one with Options.TLS.")
	}
	return nil
}
