// Package docs tests the README and the pages that no package has for itself: that the code
// which they show compiles and does what they say, and that no link of any page is dead. It is
// in the root module since the go command forgets a kept result when a file of the same module
// changes, and only then.
package docs
