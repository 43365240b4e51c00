// A MongoDB server for tests on machines that have none: FerretDB with SQLite, one message at a time.
//
// FerretDB's SQLite handler is not atomic: of racing compare-and-sets several win. Behind this proxy, which passes a
// message on only when the one before has its answer, exactly one does.
//
// It exits with the process that started it, even if that is killed.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
)

const (
	headerBytes     = 16
	maxMessageBytes = 48_000_000
	opMsg           = 2013
	flagMoreToCome  = 1 << 1
	// Relative, because the path of a unix socket may have about 100 bytes only.
	socketName = "ferretdb.sock"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	parent := os.Getppid()
	folder := flag.String("folder", ".", "where the data and the socket are kept")
	port := flag.Int("port", 0, "the TCP port of 127.0.0.1 to listen on")
	flag.Parse()
	if err := os.MkdirAll(*folder+"/data", 0o700); err != nil {
		return err
	}
	if err := os.Chdir(*folder); err != nil {
		return err
	}
	if err := os.Remove(socketName); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for os.Getppid() == parent {
			time.Sleep(200 * time.Millisecond)
		}
		cancel()
	}()

	database, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{Unix: socketName},
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Handler:   "sqlite",
		SQLiteURL: "file:data/",
	})
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- database.Run(ctx) }()
	database.MongoDBURI() // Returns when it listens.

	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		return err
	}
	go func() {
		<-ctx.Done()
		_ = listener.Close()
	}()
	var lock sync.Mutex
	for {
		client, err := listener.Accept()
		if err != nil {
			break
		}
		go serve(client, &lock)
	}
	return <-done
}

// serve passes the messages of one connection on until either side closes it.
func serve(client net.Conn, lock *sync.Mutex) {
	defer client.Close()
	server, err := net.Dial("unix", socketName)
	if err != nil {
		return
	}
	defer server.Close()
	for {
		message, err := readMessage(client)
		if err != nil {
			return
		}
		answers, err := exchange(server, message, lock)
		if err != nil {
			return
		}
		for _, answer := range answers {
			if _, err := client.Write(answer); err != nil {
				return
			}
		}
	}
}

// exchange sends one message and waits for its answers, while no other message is under way.
func exchange(server net.Conn, message []byte, lock *sync.Mutex) ([][]byte, error) {
	lock.Lock()
	defer lock.Unlock()
	if _, err := server.Write(message); err != nil {
		return nil, err
	}
	var answers [][]byte
	for more := !moreToCome(message); more; {
		answer, err := readMessage(server)
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer)
		more = moreToCome(answer)
	}
	return answers, nil
}

func readMessage(from io.Reader) ([]byte, error) {
	var header [headerBytes]byte
	if _, err := io.ReadFull(from, header[:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(header[0:4])
	if size < headerBytes || size > maxMessageBytes {
		return nil, fmt.Errorf("a message of %d bytes", size)
	}
	message := make([]byte, size)
	copy(message, header[:])
	_, err := io.ReadFull(from, message[headerBytes:])
	return message, err
}

// moreToCome reports whether a request has no answer, or whether another answer follows.
func moreToCome(message []byte) bool {
	return len(message) >= headerBytes+4 &&
		binary.LittleEndian.Uint32(message[12:16]) == opMsg &&
		binary.LittleEndian.Uint32(message[16:20])&flagMoreToCome != 0
}
