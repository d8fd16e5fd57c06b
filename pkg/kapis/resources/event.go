package resources

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// event sends an event as soon as there is enough to send.
func (s *stream) event(ctx context.Context, event objects.Event) error {
	object, err := s.object(ctx, event.Item)
	if err != nil {
		return err
	}
	return s.frame(string(event.Type), object, event.Version, object != event.Item.JSON())
}

// object is what an event shows of an object. What has to be made is made in turn with the
// other watches of the user; no turn is held while it is sent.
func (s *stream) object(ctx context.Context, item *objects.Item) (string, error) {
	related := s.form.kind.Related()
	if !related && s.form.plain() {
		return s.oneLine(item.Shown(s.form.secrets)), nil
	}
	annotate := func(item *objects.Item) *objects.Item { return item }
	if related { // before the turn: it may wait for objects of other types
		if found, err := s.handler.Cache.Annotator(ctx, s.handler.Types.Catalog, s.form.kind); err == nil {
			annotate = found
		}
	}
	release, err := s.share.Wait(ctx, len(item.JSON()))
	if err != nil {
		return "", err
	}
	defer release()
	titled, now := s.titled, s.handler.Now()
	s.titled = true
	if related { // it shows what depends on other objects
		return s.render(annotate(item), titled, now)
	}
	key := s.key
	if s.form.as == asTable { // with ages in seconds
		key += strconv.FormatBool(titled) + strconv.FormatInt(now.Unix(), 10)
	}
	return item.Text(key, func() (string, error) { return s.render(item, titled, now) })
}

// key is the same for forms that show the same of an object.
func (f form) key() string {
	return fmt.Sprintf("%d\x00%t\x00%t\x00%s\x00%s\x00", f.as, f.events, f.secrets, f.include, f.projection)
}

// render makes what the client accepts of an object. The columns of tables stay the same, so
// that they are titled once.
func (s *stream) render(item *objects.Item, titled bool, now time.Time) (string, error) {
	f := s.form
	if f.as != asTable {
		return s.oneLine(f.object(item)), nil
	}
	table := f.kind.Table([]*objects.Item{item}, f.include, f.secrets, now)
	table.ResourceVersion = item.ResourceVersion()
	if titled {
		table.ColumnDefinitions = nil
	}
	encoded, err := json.Marshal(table)
	return string(encoded), err
}

// oneLine is an object as it is put into an event of a server-sent stream, which a line
// break would end: objects are stored as they were sent to us.
func (s *stream) oneLine(object string) string {
	if !s.form.events || strings.IndexByte(object, '\n') < 0 && strings.IndexByte(object, '\r') < 0 {
		return object
	}
	return strings.NewReplacer("\r", "", "\n", "").Replace(object)
}

// frame sends an event as soon as there is enough to send. A large object is sent from
// where it is kept: of a thousand streams whose clients do not read, each would keep a
// copy. One that was made for this stream, such as a row of a table, counts until it is sent.
func (s *stream) frame(kind, object string, version uint64, made bool) error {
	s.writePrefix(kind, version)
	if len(object) < chunk {
		s.buffer.WriteString(object)
	} else {
		if made {
			release, err := s.handler.unread.take(s.request, len(object))
			if err != nil {
				return err
			}
			defer release()
		}
		if err := s.send(); err != nil {
			return err
		}
		if _, err := io.WriteString(s.writer, object); err != nil {
			return err
		}
	}
	if s.form.events {
		s.buffer.WriteString("\n\n")
	} else {
		s.buffer.WriteString("}\n")
	}
	if len(object) < chunk && s.buffer.Len() < chunk {
		return nil
	}
	return s.flush()
}
