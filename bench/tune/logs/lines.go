package logs

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// maxLine is how long a line may be: a longer one is no line of a log.
const maxLine = 64 << 10

// line is a line without its end. The text is valid until the next one is read.
type line struct {
	number int
	text   []byte
	long   int // its length, if that is more than maxLine; text is only its beginning
}

// lines reads lines, however hostile what they come from is.
type lines struct {
	from    *bufio.Reader
	number  int
	gzipped bool
}

func newLines(from io.Reader) (*lines, error) {
	in := &lines{from: bufio.NewReaderSize(from, maxLine)}
	if magic, _ := in.from.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in.from)
		if err != nil {
			return nil, err
		}
		in.from, in.gzipped = bufio.NewReaderSize(z, maxLine), true
	}
	if bom, _ := in.from.Peek(3); string(bom) == "\ufeff" {
		_, _ = in.from.Discard(3)
	}
	return in, nil
}

// next returns the next line that is not blank.
func (in *lines) next() (line, error) {
	for {
		text, err := in.from.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			in.number++
			l := line{number: in.number, text: bytes.Clone(text[:100]), long: len(text)}
			for errors.Is(err, bufio.ErrBufferFull) {
				text, err = in.from.ReadSlice('\n')
				l.long += len(text)
			}
			if err != nil && err != io.EOF {
				return line{}, err
			}
			return l, nil
		case err == io.EOF && len(text) == 0:
			return line{}, io.EOF
		case err != nil && err != io.EOF:
			return line{}, err
		}
		in.number++
		if text = bytes.TrimSpace(text); len(text) > 0 {
			return line{number: in.number, text: text}, nil
		}
	}
}

// sample returns the first lines, up to n, which stay valid.
func (in *lines) sample(n int) ([]line, error) {
	var all []line
	for len(all) < n {
		l, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			if len(all) == 0 {
				return nil, fmt.Errorf("line %d: %w", in.number+1, err)
			}
			break // it comes again
		}
		l.text = bytes.Clone(l.text)
		all = append(all, l)
	}
	return all, nil
}
