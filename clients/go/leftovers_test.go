package pulseagent

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain runs the driver of the behaviour suite in place of the tests when a variable asks for it. After the tests no
// goroutine may be left.
func TestMain(m *testing.M) {
	if os.Getenv("PULSEAGENT_DRIVER") != "" {
		os.Exit(runDriver(os.Stdin, os.Stdout))
	}
	code := m.Run()
	if left := goroutinesLeft(""); left != "" && code == 0 {
		fmt.Fprintf(os.Stderr, "goroutines are left:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// goroutinesLeft returns the stacks that hold this text, of all goroutines but the one that calls it and those of the testing
// package, after it has waited for them to end. amqp091-go and the runtime end some a moment after the call that ends them.
func goroutinesLeft(text string) (left string) {
	for range 100 {
		left = ""
		buffer := make([]byte, 1<<20)
		for _, stack := range strings.Split(string(buffer[:runtime.Stack(buffer, true)]), "\n\n")[1:] {
			if strings.Contains(stack, text) && !strings.Contains(stack, "testing.(*T).Run(") && !strings.Contains(stack, "testing.runTests(") && !strings.Contains(stack, "os/signal.loop(") {
				left += stack + "\n\n"
			}
		}
		if left == "" {
			return ""
		}
		time.Sleep(50 * time.Millisecond)
	}
	return left
}

// silentServer accepts connections and never answers.
func silentServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

func TestCloseEndsWhatConnects(t *testing.T) {
	client, err := New(Options{URL: "amqp://" + silentServer(t)})
	if err != nil {
		t.Fatal(err)
	}
	pinged := make(chan error, 1)
	go func() { pinged <- second(client.Ping(t.Context())) }()
	time.Sleep(50 * time.Millisecond)
	begin := time.Now()
	client.Close()
	if err := <-pinged; !isCode(err, ClientClosed) || time.Since(begin) > 2*time.Second {
		t.Errorf("%v after %s", err, time.Since(begin))
	}
	if _, err := client.Ping(t.Context()); !isCode(err, ClientClosed) {
		t.Error(err)
	}
	if left := goroutinesLeft(""); left != "" {
		t.Error(left)
	}
}
