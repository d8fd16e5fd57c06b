// Package jsonpatch applies JSON patches (RFC 6902) and merge patches (RFC 7396)
// of untrusted clients. Time and memory grow linearly with the size of the
// document and the patch, and what a patch may multiply is bounded: the values
// it has, how deep they are nested, the bytes it copies, and the elements of
// arrays it moves.
package jsonpatch
