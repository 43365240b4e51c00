package pulseagent

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwe"
)

// Claim is the result of a claim. The connection string is a secret.
type Claim struct {
	Namespace        string    `json:"namespace"`
	Created          time.Time `json:"created"`
	Expires          time.Time `json:"expires"`
	ReclaimAt        time.Time `json:"reclaimAt"`
	ConnectionString string    `json:"connectionString"`
	// One for each address of RabbitMQ, if there are several. Secrets, too.
	ConnectionStrings []string `json:"connectionStrings"`
}

// Addresses are the connection strings, as Open takes them.
func (c *Claim) Addresses() []string {
	if len(c.ConnectionStrings) > 0 {
		return c.ConnectionStrings
	}
	return []string{c.ConnectionString}
}

// Claim claims a namespace with a sealed reply, for a key that is made for this request alone.
func (c *Client) Claim(ctx context.Context, namespace string) (*Claim, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	reply, err := c.exchange(ctx, "claim-namespace", map[string]any{
		"namespace": namespace,
		"replyKey": map[string]string{
			"kty": "OKP", "crv": "X25519", "x": base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes()),
		},
	})
	if err != nil {
		return nil, err
	}
	if reply.ContentType != "application/jose" {
		return nil, errors.New("a reply came plain that was to be sealed")
	}
	plaintext, err := openSealed(reply.Body, key)
	if err != nil {
		return nil, err
	}
	claim := &Claim{}
	return claim, json.Unmarshal(plaintext, claim)
}

// openSealed opens nothing but ECDH-ES with A256GCM, whatever the header says.
func openSealed(sealed []byte, key *ecdh.PrivateKey) ([]byte, error) {
	message, err := jwe.Parse(sealed)
	if err != nil {
		return nil, err
	}
	if encryption, _ := message.ProtectedHeaders().ContentEncryption(); encryption != jwa.A256GCM() {
		return nil, errors.New("a reply is sealed with an encryption that the contract does not have")
	}
	return jwe.Decrypt(sealed, jwe.WithKey(jwa.ECDH_ES(), key))
}
