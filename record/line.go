package record

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"
)

// worstLine is the most bytes that the line of a call with this key can have: a
// byte of a key becomes six at most.
func worstLine(key string) int { return 160 + 6*len(key) }

func appendTime(text []byte, name string, t time.Time) []byte {
	text = append(text, name...)
	text = t.UTC().AppendFormat(text, time.RFC3339Nano)
	return append(text, '"')
}

// appendSeconds appends d exactly, such as 0.05 or 12.000000001.
func appendSeconds(text []byte, d time.Duration) []byte {
	text = strconv.AppendInt(text, int64(d/time.Second), 10)
	nanos := int64(d % time.Second)
	if nanos == 0 {
		return text
	}
	text = append(text, '.')
	for unit := int64(time.Second / 10); nanos > 0; unit /= 10 {
		text = append(text, byte('0'+nanos/unit))
		nanos %= unit
	}
	return text
}

const hexDigits = "0123456789abcdef"

// appendEscaped appends s as the inside of a JSON string (RFC 8259 §7). What is
// not UTF-8 becomes U+FFFD.
func appendEscaped(text []byte, s string) []byte {
	for i, c := range s {
		switch {
		case c == '"' || c == '\\':
			text = append(text, '\\', byte(c))
		case c < ' ' || c == 0x7f:
			text = append(text, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			text = append(text, s[i])
		default:
			text = utf8.AppendRune(text, c)
		}
	}
	return text
}

// hasher computes HMAC-SHA256 (RFC 2104) without allocating, which the hash of
// crypto/hmac does for every message.
type hasher struct {
	inner, outer []byte // the padded secret, and room for what follows it
}

func newHasher(secret []byte) *hasher {
	if len(secret) == 0 {
		return nil
	}
	if len(secret) > sha256.BlockSize {
		sum := sha256.Sum256(secret)
		secret = sum[:]
	}
	h := &hasher{inner: make([]byte, sha256.BlockSize), outer: make([]byte, sha256.BlockSize)}
	copy(h.inner, secret)
	copy(h.outer, secret)
	for i := range h.inner {
		h.inner[i] ^= 0x36
		h.outer[i] ^= 0x5c
	}
	return h
}

// appendHash appends the first 16 hexadecimal digits of key's HMAC. It is not safe
// for concurrent use.
func (h *hasher) appendHash(text []byte, key string) []byte {
	h.inner = append(h.inner[:sha256.BlockSize], key...)
	sum := sha256.Sum256(h.inner)
	h.outer = append(h.outer[:sha256.BlockSize], sum[:]...)
	sum = sha256.Sum256(h.outer)
	return hex.AppendEncode(text, sum[:8])
}
