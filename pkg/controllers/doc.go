// Package controllers does for objects that were written behind our back, with
// kubectl for example, what handlers do in the request, and finishes what an
// interruption left unfinished. One replica at a time runs it. It shares the
// functions of the domains with the handlers and imports nothing above them.
package controllers
