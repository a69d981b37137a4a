package statuspage

import (
	"net/http"
	"net/url"
	"strings"
)

// paths returns the escaped path that the client asked for, and the part of it
// below the place where the handler is mounted, without a slash in front.
//
// That place is known from the pattern of the ServeMux that called the handler.
// A StripPrefix between the two has taken off a part of what the pattern
// matched, one around the ServeMux has not; together they have taken off what
// the client's path has more than r.URL. The first way to share that out with
// which the pattern matches is taken. Only segments are counted and compared, so
// that wildcards in the pattern and escaped slashes in keys do no harm.
func paths(r *http.Request) (full, rel string) {
	rel = r.URL.EscapedPath()
	full = rel
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		full = u.EscapedPath()
	}
	stripped := max(0, strings.Count(full, "/")-strings.Count(rel, "/"))
	mount := r.Pattern[:strings.LastIndex(r.Pattern, "/")+1]
	length := strings.Count(mount, "/")
	inside := min(stripped, length)
	for n := inside; n >= 0; n-- {
		if matches(mount, after(stripped-n+1, full)) {
			inside = n
			break
		}
	}
	return full, strings.TrimPrefix(after(length-inside, rel), "/")
}

// after returns what follows the first n slashes of path.
func after(n int, path string) string {
	for range n {
		_, path, _ = strings.Cut(path, "/")
	}
	return path
}

// matches reports whether an escaped path, without a slash in front, begins with
// the segments of mount, a pattern of ServeMux up to its last slash.
func matches(mount, path string) bool {
	_, mount, _ = strings.Cut(mount, "/") // after method and host
	for mount != "" {
		var want, got string
		var found bool
		want, mount, _ = strings.Cut(mount, "/")
		got, path, found = strings.Cut(path, "/")
		literal, _ := url.PathUnescape(got) // cannot fail
		if !found || literal != want && !strings.HasPrefix(want, "{") {
			return false
		}
	}
	return true
}
