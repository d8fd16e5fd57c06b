// Package turns bounds how many requests do something at once that takes memory or time.
// Each user has a share, so that others find room; who finds none waits for a while. A turn that
// becomes free is that of the user who has the fewest. A Budget lets each user do a little
// without a turn.
package turns
