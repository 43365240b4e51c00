package pulseagent

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
)

const (
	keyAgreement      = "ECDH-ES"
	contentEncryption = "A256GCM"
	contentKeyBytes   = 32
)

// replyKey is a key pair for one reply: a later leak opens no earlier one.
type replyKey struct{ private *ecdh.PrivateKey }

func newReplyKey() (replyKey, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	return replyKey{private}, err
}

// jwk is the field replyKey of a claim.
func (k replyKey) jwk() map[string]string {
	x := base64.RawURLEncoding.EncodeToString(k.private.PublicKey().Bytes())
	return map[string]string{"kty": "OKP", "crv": "X25519", "x": x}
}

// open opens a sealed result. It accepts only ECDH-ES with A256GCM and no compression, whatever the header says.
func (k replyKey) open(sealed string) ([]byte, error) {
	plaintext, err := k.decrypt(sealed)
	if err != nil {
		message := "The sealed result cannot be opened with the key of this request. Retry with a new key."
		return nil, newError(InternalServerError, message, err)
	}
	return plaintext, nil
}

func (k replyKey) decrypt(sealed string) ([]byte, error) {
	parts := strings.Split(sealed, ".")
	if len(parts) != 5 || parts[1] != "" {
		return nil, errors.New("it does not have five parts with an empty second one")
	}
	var decoded [5][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return nil, err
		}
	}
	contentKey, err := k.contentKey(decoded[0])
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(contentKey)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	iv, ciphertext, tag := decoded[2], decoded[3], decoded[4]
	if len(iv) != gcm.NonceSize() || len(tag) != gcm.Overhead() {
		return nil, errors.New("its initialization vector or its tag has another length")
	}
	return gcm.Open(nil, iv, bytes.Join([][]byte{ciphertext, tag}, nil), []byte(parts[0]))
}

// contentKey derives the key of the content by the Concat KDF of RFC 7518, 4.6.2. The hash is as long as the key, so that
// there is one round.
func (k replyKey) contentKey(header []byte) ([]byte, error) {
	// The last four would change how the result is opened.
	var fields struct {
		Alg, Enc            string
		Epk                 struct{ Kty, Crv, X string }
		Apu, Apv, Crit, Zip json.RawMessage
	}
	if err := json.Unmarshal(header, &fields); err != nil {
		return nil, err
	}
	if fields.Alg != keyAgreement || fields.Enc != contentEncryption || fields.Epk.Kty != "OKP" || fields.Epk.Crv != "X25519" ||
		fields.Apu != nil || fields.Apv != nil || fields.Crit != nil || fields.Zip != nil {
		return nil, errors.New("it is sealed in a way that the contract does not have")
	}
	x, err := base64.RawURLEncoding.Strict().DecodeString(fields.Epk.X)
	if err != nil {
		return nil, err
	}
	ephemeral, err := ecdh.X25519().NewPublicKey(x)
	if err != nil {
		return nil, err
	}
	// It refuses a point of small order.
	secret, err := k.private.ECDH(ephemeral)
	if err != nil {
		return nil, err
	}
	digest := sha256.New()
	uint32s := func(values ...uint32) { binary.Write(digest, binary.BigEndian, values) }
	uint32s(1)
	digest.Write(secret)
	uint32s(uint32(len(contentEncryption)))
	digest.Write([]byte(contentEncryption))
	uint32s(0, 0, contentKeyBytes*8)
	return digest.Sum(nil), nil
}
