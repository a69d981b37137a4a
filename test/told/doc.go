// Package told compares what every channel says about one outage, moment by
// moment, with what then happens: the error of a rejected call, the Retry-After
// and Proxy-Status fields of a fallback, the log, the status page's JSON and
// events, Prometheus metrics and span events.
//
// Each has to answer who, since when, why, what the host said and what next.
package told
