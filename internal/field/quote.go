package field

// Quote writes s as a String of structured fields (RFC 8941 section 3.3.3), which is
// ASCII: what else is in s becomes a question mark.
func Quote(s string) string {
	const most = 200 // a reason may be an operator's essay
	s = s[:min(len(s), most)]
	q := make([]byte, 0, len(s)+2)
	q = append(q, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			q = append(q, '\\', byte(c))
		case c < ' ' || c > '~':
			q = append(q, '?')
		default:
			q = append(q, byte(c))
		}
	}
	return string(append(q, '"'))
}
