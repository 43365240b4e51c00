package pulseagent

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Credentials are Taskcluster credentials. They print without the access token.
type Credentials struct {
	ClientID    string
	AccessToken string
	// Certificate is that of temporary credentials: JSON, as Taskcluster issues it. Empty for permanent ones.
	Certificate string
	// AuthorizedScopes, where not nil, are the only ones of the client's scopes that its requests have.
	AuthorizedScopes []string
}

// String is the clientId.
func (c Credentials) String() string { return c.ClientID }

// GoString is the clientId, too.
func (c Credentials) GoString() string { return fmt.Sprintf("pulseagent.Credentials{%q}", c.ClientID) }

// LogValue is the clientId, too.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.ClientID) }

// signedText is what a signature covers.
type signedText struct {
	method        string
	body          []byte
	replyTo       string
	correlationID string
	audience      string
	time          time.Time
	nonce         string
}

// newNonce returns 16 random bytes as text.
func newNonce() string {
	bytes := make([]byte, 16)
	rand.Read(bytes) // never fails: see its documentation
	return base64.RawURLEncoding.EncodeToString(bytes)
}

// sign returns the header authorization of a request: Hawk, for an HTTP request that is never sent.
func (c Credentials) sign(s signedText) (string, error) {
	ext, err := c.ext()
	if err != nil {
		return "", err
	}
	digest := sha256.New()
	fmt.Fprintf(digest, "hawk.1.payload\napplication/json\n%s\n", s.body)
	hash := base64.StdEncoding.EncodeToString(digest.Sum(nil))

	ts := strconv.FormatInt(s.time.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(c.AccessToken))
	lines := []string{"hawk.1.header", ts, s.nonce, "POST", s.resource(), strings.ToLower(s.audience), "443", hash, ext}
	for _, line := range lines {
		mac.Write([]byte(line + "\n"))
	}
	header := fmt.Sprintf(`Hawk id="%s", ts="%s", nonce="%s", hash="%s", mac="%s"`,
		c.ClientID, ts, s.nonce, hash, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	if ext != "" {
		header += fmt.Sprintf(`, ext="%s"`, ext)
	}
	return header, nil
}

// resource is the path that is signed.
func (s signedText) resource() string {
	return fmt.Sprintf("/v1/%s?replyTo=%s&correlationId=%s",
		s.method, encodeURIComponent(s.replyTo), encodeURIComponent(s.correlationID))
}

func (c Credentials) ext() (string, error) {
	if c.Certificate == "" && c.AuthorizedScopes == nil {
		return "", nil
	}
	fields := struct {
		Certificate      json.RawMessage `json:"certificate,omitempty"`
		AuthorizedScopes *[]string       `json:"authorizedScopes,omitempty"`
	}{}
	if c.Certificate != "" {
		if !json.Valid([]byte(c.Certificate)) {
			return "", newError(AuthenticationFailed, "The certificate of the credentials is no JSON.", nil)
		}
		fields.Certificate = json.RawMessage(c.Certificate)
	}
	if c.AuthorizedScopes != nil {
		fields.AuthorizedScopes = &c.AuthorizedScopes
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(text), nil
}

// encodeURIComponent is JavaScript's. url.QueryEscape and url.PathEscape leave other characters as they are.
func encodeURIComponent(text string) string {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()"
	var encoded strings.Builder
	for _, b := range []byte(text) {
		if strings.IndexByte(unreserved, b) >= 0 {
			encoded.WriteByte(b)
		} else {
			fmt.Fprintf(&encoded, "%%%02X", b)
		}
	}
	return encoded.String()
}
