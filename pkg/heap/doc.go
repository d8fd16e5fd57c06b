// Package heap keeps the garbage a server may hold small in relation to what it
// has to hold. It changes a setting of the whole process, so that only main may
// import it.
package heap
