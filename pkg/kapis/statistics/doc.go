// Package statistics is the door to those numbers of the monitoring API that
// need no Prometheus: how many workspaces, users and projects there are. It
// counts what the list engine has in memory.
package statistics
