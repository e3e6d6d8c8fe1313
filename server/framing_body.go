package server

// body skips a body whose length is known.
func (f *framing) body(p []byte) (int, error) {
	n := f.skip(p)
	if f.length == 0 {
		*f = newFraming()
	}
	return n, nil
}

// skip skips what is left of a body or a chunk.
func (f *framing) skip(p []byte) int {
	n := int(min(f.length, int64(len(p))))
	f.length -= int64(n)
	return n
}

// chunkSize checks the size of a chunk. White space behind it is refused: RFC
// 9112 §7.1.1 has it before a chunk extension only, and calls it bad there.
func (f *framing) chunkSize(p []byte) (int, error) {
	for i, c := range p {
		digit, ok := hexDigit(c)
		switch {
		case ok && f.n < maxChunkDigits:
			f.length = f.length<<4 | digit
			f.n++
		case c == '\r' && f.n > 0:
			f.next((*framing).chunkSizeEnd)
			return i + 1, nil
		case c == ';' && f.n > 0:
			f.next((*framing).chunkExtension)
			return i, nil
		default:
			return i, errChunk
		}
	}
	return len(p), nil
}

func hexDigit(c byte) (int64, bool) {
	switch {
	case '0' <= c && c <= '9':
		return int64(c - '0'), true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int64(c|0x20-'a') + 10, true
	}
	return 0, false
}

// chunkExtension skips the extensions of a chunk, which nobody here knows.
func (f *framing) chunkExtension(p []byte) (int, error) {
	for i, c := range p {
		switch {
		case c == '\r':
			f.next((*framing).chunkSizeEnd)
			return i + 1, nil
		case c != '\t' && (c < ' ' || c > '~'), f.extensions == maxExtensions:
			return i, errExtension
		}
		f.extensions++
	}
	return len(p), nil
}

func (f *framing) chunkSizeEnd(p []byte) (int, error) {
	if p[0] != '\n' {
		return 0, errLineEnd
	}
	if f.length > 0 {
		f.next((*framing).chunkData)
	} else {
		f.trailer = true
		f.next((*framing).fieldLine)
	}
	return 1, nil
}

func (f *framing) chunkData(p []byte) (int, error) {
	n := f.skip(p)
	if f.length == 0 {
		f.next((*framing).chunkDataEnd)
	}
	return n, nil
}

func (f *framing) chunkDataEnd(p []byte) (int, error) {
	for i, c := range p {
		if c != "\r\n"[f.n] {
			return i, errChunk
		}
		if f.n++; f.n == len("\r\n") {
			f.next((*framing).chunkSize)
			return i + 1, nil
		}
	}
	return len(p), nil
}
