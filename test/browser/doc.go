// Package browser tests the status page in a real browser: Chromium, driven
// through its debugging protocol. Where it is not installed the tests are
// skipped, unless CI is set.
//
//	apt-get install chromium fonts-inter fonts-jetbrains-mono
//	go test ./...
//	go test -run Screenshot -update    # takes the pictures in docs anew, in some minutes
package browser
