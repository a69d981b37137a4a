package field_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-0b728cf8/httpbreaker/internal/field"
)

func TestContentTypesOfGRPC(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "application/grpc+json": true,
		"application/grpc; charset=utf-8": true, "application/grpc ;x": true, "Application/gRPC": false,
		"application/grpc-web": true, "application/grpc-web+proto": true, "application/grpc-web-text": true,
		"": false, "application/grp": false, "application/grpcx": false, "application/json": false,
		"application/proto": false, "application/connect+proto": false,
	} {
		assert.Equal(t, want, field.IsGRPC(contentType), contentType)
	}
}

func TestGRPCStatusIsTheTrailersOrTheHeaders(t *testing.T) {
	const grpc = "application/grpc"
	for _, tc := range []struct {
		name, contentType string
		header, trailer   []string
		want              field.GRPCCode
		ok                bool
	}{
		{"in the trailer", grpc, nil, []string{"14"}, field.Unavailable, true},
		{"in the header", grpc, []string{"5"}, nil, field.NotFound, true},
		{"in both", grpc, []string{"5"}, []string{"0"}, field.OK, true},
		{"announced only", grpc, nil, []string{}, 0, false},
		{"nowhere", grpc, nil, nil, 0, false},
		{"of another protocol", "application/json", []string{"14"}, []string{"14"}, 0, false},
		{"no content type", "", nil, []string{"14"}, 0, false},
		{"no number", grpc, nil, []string{"down"}, field.Unknown, true},
		{"negative", grpc, nil, []string{"-1"}, field.Unknown, true},
		{"too large", grpc, nil, []string{"99999999999999999999"}, field.Unknown, true},
		{"of the future", grpc, nil, []string{"17"}, 17, true},
	} {
		res := &http.Response{Header: http.Header{}, Trailer: http.Header{}}
		if tc.contentType != "" {
			res.Header.Set("Content-Type", tc.contentType)
		}
		if tc.header != nil {
			res.Header["Grpc-Status"] = tc.header
		}
		if tc.trailer != nil {
			res.Trailer["Grpc-Status"] = tc.trailer
		}
		code, ok := field.GRPCStatus(res)
		assert.Equal(t, tc.ok, ok, tc.name)
		assert.Equal(t, tc.want, code, tc.name)
	}
	_, ok := field.GRPCStatus(&http.Response{})
	assert.False(t, ok)
}

func TestGRPCCodeSaysItsName(t *testing.T) {
	assert.EqualError(t, field.Unavailable, "gRPC status 14 UNAVAILABLE")
	assert.EqualError(t, field.Unauthenticated, "gRPC status 16 UNAUTHENTICATED")
	assert.EqualError(t, field.GRPCCode(17), "gRPC status 17")
	assert.EqualError(t, field.GRPCCode(-1), "gRPC status -1")
}
