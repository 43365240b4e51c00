package pulseagent

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Credentials are Taskcluster credentials. Temporary ones come with a certificate, which Taskcluster hands out as JSON.
type Credentials struct {
	ClientID    string
	AccessToken string
	Certificate json.RawMessage
	// AuthorizedScopes, where not nil, are the only ones that the request has.
	AuthorizedScopes []string
}

// Signed is what a signature covers.
type Signed struct {
	Method        string
	Body          []byte
	ReplyTo       string
	CorrelationID string
	// Audience is that of the agent, "pulse-agent" unless configured.
	Audience string
	Time     time.Time
	// Nonce must differ for each request; NewNonce makes one.
	Nonce string
}

// NewNonce returns 16 random bytes as text.
func NewNonce() string {
	bytes := make([]byte, 16)
	rand.Read(bytes) // never fails: see its documentation
	return base64.RawURLEncoding.EncodeToString(bytes)
}

// Sign returns the header authorization of a request: Hawk over an HTTP request that exists only as text.
func (c Credentials) Sign(s Signed) (string, error) {
	ext, err := c.ext()
	if err != nil {
		return "", err
	}
	digest := sha256.New()
	fmt.Fprintf(digest, "hawk.1.payload\napplication/json\n%s\n", s.Body)
	hash := base64.StdEncoding.EncodeToString(digest.Sum(nil))

	ts := strconv.FormatInt(s.Time.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(c.AccessToken))
	lines := []string{"hawk.1.header", ts, s.Nonce, "POST", s.Resource(), strings.ToLower(s.Audience), "443", hash, ext}
	for _, line := range lines {
		mac.Write([]byte(line + "\n"))
	}
	header := fmt.Sprintf(`Hawk id="%s", ts="%s", nonce="%s", hash="%s", mac="%s"`,
		c.ClientID, ts, s.Nonce, hash, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	if ext != "" {
		header += fmt.Sprintf(`, ext="%s"`, ext)
	}
	return header, nil
}

// Resource is the path that is signed.
func (s Signed) Resource() string {
	return fmt.Sprintf("/v1/%s?replyTo=%s&correlationId=%s",
		s.Method, encodeURIComponent(s.ReplyTo), encodeURIComponent(s.CorrelationID))
}

func (c Credentials) ext() (string, error) {
	if c.Certificate == nil && c.AuthorizedScopes == nil {
		return "", nil
	}
	fields := struct {
		Certificate      json.RawMessage `json:"certificate,omitempty"`
		AuthorizedScopes *[]string       `json:"authorizedScopes,omitempty"`
	}{Certificate: c.Certificate}
	if c.AuthorizedScopes != nil {
		fields.AuthorizedScopes = &c.AuthorizedScopes
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return "", fmt.Errorf("the certificate is no JSON: %w", err)
	}
	return base64.StdEncoding.EncodeToString(text), nil
}

// encodeURIComponent is JavaScript's. url.QueryEscape and url.PathEscape leave other characters alone.
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
