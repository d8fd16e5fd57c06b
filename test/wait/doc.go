// Package wait lets tests wait for a condition instead of for a time.
//
// A machine that runs a cluster and other tests beside is many times slower than
// an idle one, so the limit is a minute for everything: a test that waits for a
// condition costs no more than the condition takes, and only a failure takes the
// minute.
package wait
