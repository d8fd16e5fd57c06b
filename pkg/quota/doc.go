// Package quota bounds what is held at once of a resource this process has only
// so much of: requests in flight, bytes of bodies, temporary files. Each holder
// has a share, so that one of them cannot take all from the others.
package quota
