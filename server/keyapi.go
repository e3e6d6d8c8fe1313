package server

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

const (
	// keyTimeout is how long a request about keys may take, Mux's and Vault's
	// time included. Mux's SDKs wait for 60 s. A change that it cuts short is
	// finished by whoever comes next.
	keyTimeout = 30 * time.Second
	// The pages of Mux's lists.
	defaultPage = 25
	maxPage     = 100
	// maxReason bounds the reason of a forced deletion, in bytes.
	maxReason = 1 << 10
)

// muxKeys answers GET and POST /system/v1/signing-keys and its alias.
func muxKeys(s *Server, _ *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	if c.Method() == post {
		return s.createKey(c, x)
	}
	page, limit, err := readPage(rawQuery(c))
	if err != nil {
		return err
	}
	keys, listErr := s.listKeys(x)
	if listErr != nil {
		return listErr
	}
	first := min((page-1)*limit, len(keys))
	return sendList(c, x, keys[first:min(first+limit, len(keys))], appendMuxKey)
}

// muxKey answers GET and DELETE /system/v1/signing-keys/{id} and its alias.
func muxKey(s *Server, r *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	id, err := keyID(r, x)
	if err != nil {
		return err
	}
	if c.Method() == del {
		return s.deleteKey(c, x, id)
	}
	keys, err := s.listKeys(x)
	if err != nil {
		return err
	}
	for i := range keys {
		if keys[i].ID == id {
			return sendOne(c, x, &keys[i], appendMuxKey)
		}
	}
	return noSuchKey()
}

// getKeys answers GET /v1/signing-keys.
func getKeys(s *Server, _ *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	keys, err := s.listKeys(x)
	if err != nil {
		return err
	}
	return sendList(c, x, keys, appendKey)
}

// changeKey answers the POSTs below /v1/signing-keys/{id} with the key as the
// change leaves it.
func changeKey(change func(KeyManager, context.Context, KeyOrder) (SigningKey, error)) handler {
	return func(s *Server, r *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
		id, err := keyID(r, x)
		if err != nil {
			return err
		}
		ctx, cancel := keyContext()
		defer cancel()
		key, err := change(s.cfg.Keys, ctx, keyOrder(x, id))
		if err != nil {
			return err
		}
		return sendOne(c, x, &key, appendKey)
	}
}

func (s *Server) createKey(c *fiber.Ctx, x *middleware.Exchange) error {
	ctx, cancel := keyContext()
	defer cancel()
	key, private, err := s.cfg.Keys.Create(ctx, keyOrder(x, ""))
	if err != nil {
		return err
	}
	x.Buf = append(x.Buf[:0], `{"data":{`...)
	x.Buf = appendMuxKey(x.Buf, &key)
	x.Buf = append(x.Buf, `,"private_key":`...)
	x.Buf = appendString(x.Buf, private.Reveal())
	x.Buf = append(x.Buf, "}}"...)
	sendJSON(c, x)
	c.Status(fiber.StatusCreated)
	return nil
}

func (s *Server) deleteKey(c *fiber.Ctx, x *middleware.Exchange, id playback.KeyID) error {
	order := keyOrder(x, id)
	if err := readDeletion(c, x, &order); err != nil {
		return err
	}
	ctx, cancel := keyContext()
	defer cancel()
	if err := s.cfg.Keys.Delete(ctx, order); err != nil {
		return err
	}
	c.Status(fiber.StatusNoContent)
	return nil
}

// keyContext is a request's time. Its end is not the client's: a change that
// has begun goes on when the client is gone.
func keyContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), keyTimeout)
}

func keyOrder(x *middleware.Exchange, id playback.KeyID) KeyOrder {
	return KeyOrder{Environment: x.Environment.ID, ID: id, By: x.Token.ID, RequestID: strings.Clone(x.ID)}
}

// keyID returns the key that the path names. A text that is no key ID names
// none.
func keyID(r *compiled, x *middleware.Exchange) (playback.KeyID, error) {
	id := playback.KeyID(strings.Clone(r.value(x, "id")))
	if !id.Valid() {
		return "", noSuchKey()
	}
	return id, nil
}

func noSuchKey() *playback.Error {
	return playback.Errorf(playback.CodeNotFound, "The environment has no such signing key.")
}

// listKeys returns the environment's keys, the oldest first, so that a key
// that is created while somebody turns the pages is on the last one.
func (s *Server) listKeys(x *middleware.Exchange) ([]SigningKey, error) {
	ctx, cancel := keyContext()
	defer cancel()
	keys, err := s.cfg.Keys.List(ctx, x.Environment.ID)
	if err != nil {
		return nil, err
	}
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b SigningKey) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return keys, nil
}

// readPage reads page (from 1) and limit of a list's query; other parameters
// are ignored, as Mux ignores them.
func readPage(raw string) (page, limit int, err error) {
	page, limit = 1, defaultPage
	q := middleware.Query{Rest: raw}
	seen := map[string]bool{}
	for q.Next() {
		if q.Name != "page" && q.Name != "limit" {
			continue
		}
		if seen[q.Name] {
			return 0, 0, repeated(q.Name)
		}
		seen[q.Name] = true
		into, most := &page, 1<<20
		if q.Name == "limit" {
			into, most = &limit, maxPage
		}
		n, problem := strconv.Atoi(q.Value)
		if problem != nil || n < 1 || n > most {
			return 0, 0, playback.Errorf(playback.CodeInvalidParam, "%s: want a number from 1 to %d", q.Name, most)
		}
		*into = n
	}
	return page, limit, nil
}

// readDeletion reads the optional body of a deletion.
func readDeletion(c *fiber.Ctx, x *middleware.Exchange, order *KeyOrder) error {
	members, err := readOptional(c, x)
	if err != nil {
		return err
	}
	for i := range members {
		m := &members[i]
		switch {
		case !deletionNames.has(m.name):
			return deletionNames.unknown("", m.name)
		case m.value.kind == jsonNull:
		case m.name == "force" && m.value.kind != jsonBool:
			return fieldError("force", "want true or false")
		case m.name == "force":
			order.Force = m.value.text == "true"
		case m.value.kind != jsonString || len(m.value.text) > maxReason:
			return fieldError("reason", "want a string of at most "+strconv.Itoa(maxReason)+" bytes")
		default:
			order.Reason = strings.TrimSpace(m.value.text)
		}
	}
	if order.Force && order.Reason == "" {
		return fieldError("reason", "want the reason why the key is deleted by force; it goes on record")
	}
	return nil
}

// getWhoAmI answers GET /system/v1/whoami with what Mux tells an access token
// about itself. Environments have no type here; those of Mux that are not for
// development are of this one.
func getWhoAmI(_ *Server, _ *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	e := x.Environment
	b := x.Buf[:0]
	b = append(b, `{"data":{`...)
	for _, m := range [...]struct{ name, value string }{
		{"access_token_name", x.Token.Name},
		{"environment_id", string(e.ID)},
		{"environment_name", e.Name},
		{"environment_type", "production"},
		{"organization_id", string(e.Organization)},
		{"organization_name", e.OrganizationName},
	} {
		b = append(appendString(b, m.name), ':')
		b = append(appendString(b, m.value), ',')
	}
	b = append(b, `"permissions":[`...)
	for i, name := range x.Token.Permissions.Names() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, name)
	}
	b = append(b, "]}}"...)
	x.Buf = b
	return send(c, x)
}

// keyWriter appends the members of a key's object.
type keyWriter func(b []byte, k *SigningKey) []byte

func sendOne(c *fiber.Ctx, x *middleware.Exchange, k *SigningKey, write keyWriter) error {
	x.Buf = append(x.Buf[:0], `{"data":{`...)
	x.Buf = write(x.Buf, k)
	x.Buf = append(x.Buf, "}}"...)
	return send(c, x)
}

func sendList(c *fiber.Ctx, x *middleware.Exchange, keys []SigningKey, write keyWriter) error {
	b := x.Buf[:0]
	b = append(b, `{"data":[`...)
	for i := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = write(append(b, '{'), &keys[i])
		b = append(b, '}')
	}
	b = append(b, "]}"...)
	x.Buf = b
	return send(c, x)
}

// appendMuxKey appends what Mux tells of a key. Its created_at is always there;
// a key whose age nobody knows is as old as time.
func appendMuxKey(b []byte, k *SigningKey) []byte {
	b = append(b, `"id":`...)
	b = appendString(b, string(k.ID))
	b = append(b, `,"created_at":"`...)
	var at int64
	if !k.CreatedAt.IsZero() {
		at = k.CreatedAt.Unix()
	}
	return append(strconv.AppendInt(b, at, 10), '"')
}

func appendKey(b []byte, k *SigningKey) []byte {
	b = append(b, `"id":`...)
	b = appendString(b, string(k.ID))
	b = append(b, `,"state":`...)
	b = appendString(b, k.State)
	for _, m := range [...]struct {
		name string
		at   time.Time
	}{
		{"created_at", k.CreatedAt},
		{"activated_at", k.ActivatedAt},
		{"retired_at", k.RetiredAt},
		{"last_expiry", k.LastExpiry},
		{"deletable_at", k.DeletableAt},
	} {
		b = append(append(append(b, `,"`...), m.name...), `":`...)
		if m.at.IsZero() {
			b = append(b, "null"...)
		} else {
			b = strconv.AppendInt(b, m.at.Unix(), 10)
		}
	}
	b = append(b, `,"external":`...)
	return strconv.AppendBool(b, k.External)
}
