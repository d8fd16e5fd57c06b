package route

import (
	"net/http"
	"strconv"
)

// List is a page of objects in JSON. Its texts are asked for one after the other while
// it is sent: clients that read slowly, or not at all, would keep all of them in
// memory otherwise.
type List struct {
	// Count is the number of objects of the page, Total that on all pages.
	Count, Total int
	// Text returns an object of the page.
	Text func(n int) (string, error)
	// Stored is true when a text costs nothing, as Stream has it.
	Stored bool
}

// WriteList answers with a page of objects and the number there are. It fails as
// Stream.Write does.
func WriteList(w http.ResponseWriter, r *http.Request, list List, pretty bool) error {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	return Stream{
		Head: `{"items":[`, Tail: `],"totalItems":` + strconv.Itoa(list.Total) + `}`,
		Count: list.Count, Text: list.Text, Stored: list.Stored, Plain: true,
	}.Write(w, r, pretty)
}
