// Package providers keeps the identity providers that are configured now: those
// of the configuration file and those in Secrets, as KubeSphere 4 keeps them.
// Either may change while the server runs, and one that is wrong is in nobody
// else's way.
package providers
