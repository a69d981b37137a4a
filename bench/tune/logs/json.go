package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

var errJSON = errors.New("this is not a JSON object")

// maxDepth is how deep objects are looked into.
const maxDepth = 8

// jsonFields hands each field of a JSON object to field: its path, such as "a.b"
// for b in the object a, and its value, of a string what is between the quotes,
// escapes and all. Both are valid until field returns. It takes a small part of
// the time that package encoding/json does, and accepts a little more.
func jsonFields(object []byte, field func(path, value []byte)) error {
	rest, err := jsonObject(object, nil, 0, field)
	if err != nil || len(bytes.TrimSpace(rest)) > 0 {
		return errJSON
	}
	return nil
}

// jsonObject reads the object at the beginning of s and returns what follows it.
func jsonObject(s, path []byte, depth int, field func(path, value []byte)) ([]byte, error) {
	s = skipSpace(s)
	if len(s) == 0 || s[0] != '{' {
		return nil, errJSON
	}
	s = skipSpace(s[1:])
	if len(s) > 0 && s[0] == '}' {
		return s[1:], nil
	}
	for {
		name, rest, err := jsonString(s)
		if err != nil {
			return nil, err
		}
		s = skipSpace(rest)
		if len(s) == 0 || s[0] != ':' {
			return nil, errJSON
		}
		s = skipSpace(s[1:])
		whole := name
		if depth > 0 {
			whole = append(append(path, '.'), name...)
		}
		var value []byte
		switch {
		case len(s) == 0:
			return nil, errJSON
		case s[0] == '"':
			if value, s, err = jsonString(s); err != nil {
				return nil, err
			}
			field(whole, value)
		case s[0] == '{' && depth < maxDepth:
			// The path of the inner fields is built behind a copy of this one.
			if s, err = jsonObject(s, append(path[:0:0], whole...), depth+1, field); err != nil {
				return nil, err
			}
		case s[0] == '{' || s[0] == '[':
			if s, err = skipNested(s); err != nil {
				return nil, err
			}
		default:
			n := 0
			for n < len(s) && s[n] != ',' && s[n] != '}' && s[n] > ' ' {
				n++
			}
			if n == 0 {
				return nil, errJSON
			}
			field(whole, s[:n])
			s = s[n:]
		}
		s = skipSpace(s)
		if len(s) == 0 {
			return nil, errJSON
		}
		switch s[0] {
		case '}':
			return s[1:], nil
		case ',':
			s = skipSpace(s[1:])
		default:
			return nil, errJSON
		}
	}
}

func skipSpace(s []byte) []byte {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t' || s[0] == '\r' || s[0] == '\n') {
		s = s[1:]
	}
	return s
}

// jsonString reads the string at the beginning of s, without its quotes.
func jsonString(s []byte) (text, rest []byte, err error) {
	if len(s) == 0 || s[0] != '"' {
		return nil, nil, errJSON
	}
	for end := 1; ; {
		n := bytes.IndexByte(s[end:], '"')
		if n < 0 {
			return nil, nil, errJSON
		}
		escapes := 0
		for end += n; s[end-1-escapes] == '\\'; escapes++ {
		}
		if escapes%2 == 0 {
			return s[1:end], s[end+1:], nil
		}
		end++
	}
}

// unescaped resolves the escapes of a string. One that is not JSON, such as \xHH of
// nginx without escape=json, stays as it is.
func unescaped(text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	var s string
	if json.Unmarshal(slices.Concat([]byte{'"'}, text, []byte{'"'}), &s) != nil {
		return text
	}
	return []byte(s)
}

// skipNested skips the object or array at the beginning of s.
func skipNested(s []byte) ([]byte, error) {
	depth := 0
	for len(s) > 0 {
		switch s[0] {
		case '"':
			var err error
			if _, s, err = jsonString(s); err != nil {
				return nil, err
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s = s[1:]
		if depth == 0 {
			return s, nil
		}
	}
	return nil, errJSON
}
