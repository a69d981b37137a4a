package logs

import (
	"bytes"
	"errors"
	"strconv"
)

// csvFields hands the fields of a line of CSV (RFC 4180) to field, by number. A
// quoted field may hold the separator, but no end of a line: one stray quote would
// swallow the rest of the file.
func csvFields(text []byte, separator byte, field func(i int, value []byte)) error {
	for i := 0; ; i++ {
		var value []byte
		if text = bytes.TrimLeft(text, " "); len(text) > 0 && text[0] == '"' {
			text = text[1:]
			doubled := false
			end := 0
			for {
				n := bytes.IndexByte(text[end:], '"')
				if n < 0 {
					return errors.New("a quote has no end on its line")
				}
				end += n
				if end+1 < len(text) && text[end+1] == '"' {
					end, doubled = end+2, true
					continue
				}
				break
			}
			value, text = text[:end], bytes.TrimLeft(text[end+1:], " ")
			if doubled {
				value = bytes.ReplaceAll(value, []byte(`""`), []byte(`"`))
			}
			if len(text) > 0 && text[0] != separator {
				return errors.New("there is something behind a quoted field")
			}
		} else if n := bytes.IndexByte(text, separator); n >= 0 {
			value, text = bytes.TrimRight(text[:n], " "), text[n:]
		} else {
			value, text = bytes.TrimRight(text, " "), nil
		}
		field(i, value)
		if len(text) == 0 {
			return nil
		}
		text = text[1:]
	}
}

var nameVhost, nameHost, nameTime, nameStatus = []byte("vhost"), []byte("host"), []byte("time"), []byte("status")

var errCombined = errors.New("this is no line of a combined log")

// combinedFields hands the fields of a line of the combined log of nginx and
// Apache to field, by name: time, request, status and bytes, host from a name in
// front ("vhost") or a URL in the request, and what follows the usual fields by its
// own name, as in rt=0.012, or as extra1, extra2 and so on.
func combinedFields(text []byte, field func(name, value []byte)) error {
	var front [4][]byte // at most host, address, ident and user
	n := 0
	for ; ; n++ {
		if text = skipSpace(text); len(text) == 0 || n == len(front) && text[0] != '[' {
			return errCombined
		}
		if text[0] == '[' {
			break
		}
		front[n], text = token(text)
	}
	if n < 3 {
		return errCombined
	}
	if n == 4 {
		field(nameVhost, front[0])
	}
	end := bytes.IndexByte(text, ']')
	if end < 0 {
		return errCombined
	}
	field(nameTime, text[1:end])
	request, text := token(skipSpace(text[end+1:]))
	if parts := bytes.Fields(request); len(parts) > 1 {
		if _, after, ok := bytes.Cut(parts[1], []byte("://")); ok {
			host, _, _ := bytes.Cut(after, []byte("/"))
			field(nameHost, host)
		}
	}
	status, text := token(skipSpace(text))
	if len(status) == 0 {
		return errCombined
	}
	field(nameStatus, status)
	_, text = token(skipSpace(text)) // bytes
	// The referrer and the user agent, where they are, are in quotes.
	for range 2 {
		if text = skipSpace(text); len(text) > 0 && text[0] == '"' {
			_, text = token(text)
		}
	}
	var extra []byte
	for i := 1; ; i++ {
		if text = skipSpace(text); len(text) == 0 {
			return nil
		}
		var value []byte
		name := bytes.IndexByte(text, '=')
		if gap := bytes.IndexAny(text, " \""); name > 0 && (gap < 0 || gap > name) {
			key := text[:name]
			value, text = token(text[name+1:])
			field(key, value)
			i--
			continue
		}
		value, text = token(text)
		field(strconv.AppendInt(append(extra[:0], "extra"...), int64(i), 10), value)
	}
}

// token splits off what is before the next space, or between quotes.
func token(text []byte) (value, rest []byte) {
	if len(text) > 0 && text[0] == '"' {
		for i := 1; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case '"':
				return text[1:i], text[i+1:]
			}
		}
		return text[1:], nil
	}
	if n := bytes.IndexByte(text, ' '); n >= 0 {
		return text[:n], text[n:]
	}
	return text, nil
}
