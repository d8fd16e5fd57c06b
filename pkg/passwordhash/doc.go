// Package passwordhash makes and compares hashes of passwords: bcrypt's, which
// KubeSphere has, and argon2id's. Hashing takes a tenth of a second of a
// processor, so that callers bound how many are compared at once. It imports
// nothing of this server.
package passwordhash
