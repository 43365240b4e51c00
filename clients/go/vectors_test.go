package pulseagent

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"
)

type sealedVector struct {
	PrivateKey     struct{ D string }
	JWE, Plaintext string
}

type vectors struct {
	Requests []struct {
		Name, Method, Body, ReplyTo, CorrelationID, Audience, Nonce, Resource, Authorization string
		TimestampSeconds                                                                     int64
		Credentials                                                                          struct {
			ClientID, AccessToken string
			Certificate           json.RawMessage
			AuthorizedScopes      []string
		}
	}
	Encodings                          []struct{ Text, Encoded string }
	Sealed, SealedWithSeveralAddresses sealedVector
	Instants                           []struct {
		Text string
		Ms   int64
	}
	RefusedInstants []string
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	text, err := os.ReadFile("../../docs/protocol-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Requests) == 0 || len(v.Encodings) == 0 || len(v.Instants) == 0 || len(v.RefusedInstants) == 0 {
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

func TestVectorSignatures(t *testing.T) {
	for _, vector := range readVectors(t).Requests {
		signed := signedText{
			method: vector.Method, body: []byte(vector.Body), replyTo: vector.ReplyTo, correlationID: vector.CorrelationID,
			audience: vector.Audience, time: time.Unix(vector.TimestampSeconds, 0), nonce: vector.Nonce,
		}
		if got := signed.resource(); got != vector.Resource {
			t.Errorf("%s: resource %s, want %s", vector.Name, got, vector.Resource)
		}
		credentials := Credentials{
			ClientID: vector.Credentials.ClientID, AccessToken: vector.Credentials.AccessToken,
			Certificate: string(vector.Credentials.Certificate), AuthorizedScopes: vector.Credentials.AuthorizedScopes,
		}
		header, err := credentials.sign(signed)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := attributes(header), attributes(vector.Authorization); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: header %v, want %v", vector.Name, got, want)
		}
	}
}

func TestVectorEncodings(t *testing.T) {
	for _, vector := range readVectors(t).Encodings {
		if got := encodeURIComponent(vector.Text); got != vector.Encoded {
			t.Errorf("%q is encoded as %s, want %s", vector.Text, got, vector.Encoded)
		}
	}
}

func TestVectorSealedResults(t *testing.T) {
	all := readVectors(t)
	for _, sealed := range []sealedVector{all.Sealed, all.SealedWithSeveralAddresses} {
		key := keyOf(t, sealed)
		plaintext, err := key.open(sealed.JWE)
		if err != nil {
			t.Fatal(err)
		}
		if string(plaintext) != sealed.Plaintext {
			t.Errorf("opened %s, want %s", plaintext, sealed.Plaintext)
		}
		claim := Claim{}
		if err := json.Unmarshal(plaintext, &claim); err != nil || claim.ConnectionStrings[0] != claim.ConnectionString {
			t.Errorf("read %v, %v", claim, err)
		}
	}
}

func keyOf(t *testing.T, sealed sealedVector) replyKey {
	t.Helper()
	bytes, err := base64.RawURLEncoding.DecodeString(sealed.PrivateKey.D)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ecdh.X25519().NewPrivateKey(bytes)
	if err != nil {
		t.Fatal(err)
	}
	return replyKey{private}
}

func TestOpensNothingElse(t *testing.T) {
	sealed := readVectors(t).Sealed
	key := keyOf(t, sealed)
	parts := strings.Split(sealed.JWE, ".")
	header, _ := base64.RawURLEncoding.DecodeString(parts[0])
	with := func(i int, part string) string {
		changed := append([]string(nil), parts...)
		changed[i] = part
		return strings.Join(changed, ".")
	}
	withHeader := func(old, replacement string) string {
		return with(0, base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(header), old, replacement, 1))))
	}
	for name, text := range map[string]string{
		"nothing":               "",
		"another algorithm":     withHeader("ECDH-ES", "dir"),
		"another encryption":    withHeader("A256GCM", "A128GCM"),
		"compression":           withHeader(`{"alg"`, `{"zip":"DEF","alg"`),
		"a critical member":     withHeader(`{"alg"`, `{"crit":["b64"],"alg"`),
		"a point of low order":  withHeader(`"x":"bQuQbVfZVsAN6hJn0h1IfnhGZpqBukmxN33irU3-2iY"`, `"x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"`),
		"an encrypted key":      with(1, "AAAA"),
		"a shorter tag":         with(4, parts[4][:16]),
		"another text":          with(3, "A"+parts[3][1:]),
		"one part less":         strings.Join(parts[:4], "."),
		"one part more":         sealed.JWE + ".",
		"a part with a padding": with(2, parts[2]+"="),
	} {
		if text == sealed.JWE {
			t.Fatalf("%s: nothing has changed", name)
		}
		if _, err := key.open(text); !isCode(err, InternalServerError) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other, _ := newReplyKey()
	if _, err := other.open(sealed.JWE); err == nil {
		t.Error("another key opened it")
	}
}

// sealFor seals as an agent does, with members of the header that this package has to refuse.
func sealFor(t *testing.T, key replyKey, members string) string {
	t.Helper()
	ephemeral, err := newReplyKey()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	header := []byte(`{"alg":"ECDH-ES","enc":"A256GCM"` + members + `,"epk":{"kty":"OKP","crv":"X25519","x":"` + ephemeral.jwk()["x"] + `"}}`)
	secret, err := ephemeral.private.ECDH(key.private.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	hashed := bytes.Join([][]byte{{0, 0, 0, 1}, secret, {0, 0, 0, 7}, []byte("A256GCM"), {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}}, nil)
	contentKey := sha256.Sum256(hashed)
	block, _ := aes.NewCipher(contentKey[:])
	gcm, _ := cipher.NewGCM(block)
	iv := make([]byte, gcm.NonceSize())
	sealed := gcm.Seal(nil, iv, []byte("{}"), []byte(encode(header)))
	end := len(sealed) - gcm.Overhead()
	return strings.Join([]string{encode(header), "", encode(iv), encode(sealed[:end]), encode(sealed[end:])}, ".")
}

func TestOpensNoResultThatIsSealedInAnotherWay(t *testing.T) {
	key, _ := newReplyKey()
	for members, want := range map[string]bool{
		"": true, `,"kid":"1"`: true, `,"zip":"DEF"`: false, `,"crit":["b64"]`: false, `,"apu":"QQ"`: false, `,"apv":"QQ"`: false,
	} {
		if _, err := key.open(sealFor(t, key, members)); (err == nil) != want {
			t.Errorf("%s: %v", members, err)
		}
	}
}

func TestVectorInstants(t *testing.T) {
	for _, vector := range readVectors(t).Instants {
		if got, err := parseInstant(vector.Text); err != nil || got.UnixMilli() != vector.Ms {
			t.Errorf("%s is %v, %v, want %d", vector.Text, got, err, vector.Ms)
		}
	}
	for _, text := range readVectors(t).RefusedInstants {
		if got, err := parseInstant(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
	instant := time.Date(2026, 11, 24, 13, 0, 0, 123456789, time.FixedZone("", 3600))
	if got := formatInstant(instant); got != "2026-11-24T12:00:00.123456789Z" {
		t.Errorf("written as %s", got)
	}
}
