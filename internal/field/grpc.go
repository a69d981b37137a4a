package field

import (
	"net/http"
	"strconv"
	"strings"
)

// A GRPCCode is a status code of gRPC
// (https://grpc.io/docs/guides/status-codes/). As an error it is what a failed call says.
type GRPCCode int

// The codes, by number.
const (
	OK GRPCCode = iota
	Cancelled
	Unknown
	InvalidArgument
	DeadlineExceeded
	NotFound
	AlreadyExists
	PermissionDenied
	ResourceExhausted
	FailedPrecondition
	Aborted
	OutOfRange
	Unimplemented
	Internal
	Unavailable
	DataLoss
	Unauthenticated
)

var grpcNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
	"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// Error is "gRPC status 14 UNAVAILABLE".
func (c GRPCCode) Error() string {
	text := "gRPC status " + strconv.Itoa(int(c))
	if c >= 0 && int(c) < len(grpcNames) {
		text += " " + grpcNames[c]
	}
	return text
}

// IsGRPC reports whether a Content-Type is one of gRPC or gRPC-Web, with any encoding of
// messages: application/grpc, application/grpc+proto, application/grpc-web-text and so on,
// in lower case as the protocol spells it.
func IsGRPC(contentType string) bool {
	rest, ok := strings.CutPrefix(contentType, "application/grpc")
	return ok && (rest == "" || strings.IndexByte("+-; \t", rest[0]) >= 0)
}

// GRPCStatus returns the status of a gRPC response: from its trailers or, where the
// response has no messages, from its header. ok is false where there is none, or none yet.
// What is not a number is Unknown, as the protocol has it.
func GRPCStatus(res *http.Response) (code GRPCCode, ok bool) {
	contentType := res.Header["Content-Type"]
	if len(contentType) == 0 || !IsGRPC(contentType[0]) {
		return 0, false
	}
	status := res.Trailer["Grpc-Status"]
	if len(status) == 0 {
		status = res.Header["Grpc-Status"]
	}
	if len(status) == 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(status[0], 10, 31)
	if err != nil {
		return Unknown, true
	}
	return GRPCCode(n), true
}
