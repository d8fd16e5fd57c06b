// Package components is the door to the health of what the platform runs on:
// the services of the system namespaces with the pods behind them, and the
// nodes. It reads the list engine's memory only.
package components
