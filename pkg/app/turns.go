package app

import (
	"io"
	"net/http"
	"strings"
	"time"

	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// Writes below /kapis, and reads that gather, take what tenants have stored into memory:
// this many at once, and of one user. Others wait.
const (
	maxGathering        = 40
	maxGatheringPerUser = 10
	gatheringWait       = 20 * time.Second
)

// Operations that wait for servers outside of the platform take as long as these like, so
// that they have turns of their own.
const (
	maxAwaiting        = 64
	maxAwaitingPerUser = 6
)

// inTurn lets the operations of groups take turns that read lists of objects whole: those
// that gather, and writes, which compare with what there is. What waits for others takes
// turns apart from them.
func inTurn(groups []route.Group) {
	const refusal = "the server serves as many such requests as it can at the moment"
	all := turns.New(maxGathering, maxGatheringPerUser, gatheringWait, refusal)
	awaiting := turns.New(maxAwaiting, maxAwaitingPerUser, gatheringWait, refusal)
	for g := range groups {
		if !strings.HasPrefix(groups[g].Prefix, "/kapis") {
			continue
		}
		for n := range groups[g].Routes {
			switch r := &groups[g].Routes[n]; {
			case r.Awaits:
				r.Handler = taking(awaiting, r.Handler)
			case r.Gathers || r.Method != http.MethodGet && r.Method != http.MethodHead && !r.Transfers && !r.Upgrades:
				r.Handler = taking(all, r.Handler)
			}
		}
	}
}

// taking serves requests of users in turn. Those without credentials have few places.
func taking(all *turns.Turns, next route.Handler) route.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		_, found := kuberequest.UserFrom(r.Context())
		if !found {
			return next(w, r)
		}
		release, err := all.Take(r.Context(), turns.HolderFrom(r.Context()))
		if err != nil {
			return err
		}
		defer release()
		return next(&beginning{ResponseWriter: w, begun: release}, r)
	}
}

// beginning is an answer that ends the turn when it begins, so that no other request waits
// for a client that does not read it.
type beginning struct {
	http.ResponseWriter
	begun func()
}

// WriteHeader implements http.ResponseWriter.
func (b *beginning) WriteHeader(code int) {
	b.begun()
	b.ResponseWriter.WriteHeader(code)
}

// Write implements io.Writer.
func (b *beginning) Write(data []byte) (int, error) {
	b.begun()
	return b.ResponseWriter.Write(data)
}

// WriteString implements io.StringWriter.
func (b *beginning) WriteString(text string) (int, error) {
	b.begun()
	return io.WriteString(b.ResponseWriter, text)
}

// Unwrap lets http.ResponseController reach the connection.
func (b *beginning) Unwrap() http.ResponseWriter { return b.ResponseWriter }
