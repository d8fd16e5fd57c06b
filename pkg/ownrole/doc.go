// Package ownrole gives the account of this server what it needs in a namespace that it
// makes or uses for itself, by a role and a binding there. In the whole cluster the
// account may write neither pods nor deployments.
package ownrole
