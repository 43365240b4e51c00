package pulseagent

import (
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"os"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"
)

type vectors struct {
	Requests []struct {
		Name, Method, Body, ReplyTo, CorrelationID, Audience, Nonce, Resource, Authorization string
		TimestampSeconds                                                                     int64
		Credentials                                                                          Credentials
	}
	Encodings []struct{ Text, Encoded string }
	Sealed    struct {
		PrivateKey     struct{ D string }
		JWE, Plaintext string
	}
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/protocol-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Requests) == 0 || len(v.Encodings) == 0 {
		t.Fatal("there are no vectors")
	}
	return v
}

// The attributes of a header may come in any order.
func attributes(header string) []string {
	parts := strings.Split(strings.TrimPrefix(header, "Hawk "), ", ")
	sort.Strings(parts)
	return parts
}

func TestSignatures(t *testing.T) {
	for _, vector := range readVectors(t).Requests {
		signed := Signed{
			Method: vector.Method, Body: []byte(vector.Body), ReplyTo: vector.ReplyTo, CorrelationID: vector.CorrelationID,
			Audience: vector.Audience, Time: time.Unix(vector.TimestampSeconds, 0), Nonce: vector.Nonce,
		}
		if got := signed.Resource(); got != vector.Resource {
			t.Errorf("%s: resource %s, want %s", vector.Name, got, vector.Resource)
		}
		header, err := vector.Credentials.Sign(signed)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := attributes(header), attributes(vector.Authorization); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: header %v, want %v", vector.Name, got, want)
		}
	}
}

func TestEncodings(t *testing.T) {
	for _, vector := range readVectors(t).Encodings {
		if got := encodeURIComponent(vector.Text); got != vector.Encoded {
			t.Errorf("%q is encoded as %s, want %s", vector.Text, got, vector.Encoded)
		}
	}
}

func TestSealedResult(t *testing.T) {
	sealed := readVectors(t).Sealed
	bytes, err := base64.RawURLEncoding.DecodeString(sealed.PrivateKey.D)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdh.X25519().NewPrivateKey(bytes)
	if err != nil {
		t.Fatal(err)
	}
	plaintext, err := openSealed([]byte(sealed.JWE), key)
	if err != nil {
		t.Fatal(err)
	}
	if string(plaintext) != sealed.Plaintext {
		t.Errorf("opened %s, want %s", plaintext, sealed.Plaintext)
	}
}
