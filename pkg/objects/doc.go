// Package objects is the list engine: it keeps the objects of any resource
// type of Kubernetes as immutable items in ordered, copy-on-write indexes and
// answers any page of a list without copying, sorting or encoding objects.
//
// A reflector feeds each type. An object becomes an Item once, when it
// arrives: its metadata, the columns its type defines for filtering and
// sorting, and its compact JSON. Readers take a Snapshot, which never changes
// and costs nothing to take; they hold no lock while they answer. What differs
// between types is data, in the catalog.
//
// The package imports pkg/query and pkg/status; HTTP doors and the iam domain
// import it.
package objects
