package signingkey

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/playgate/playgate/keystore"
	"github.com/playgate/playgate/playback"
)

// Create makes a key at Mux, or a local one, and stores it, prepared, before it
// returns. If the process dies on the way, whoever comes next deletes what
// nobody has.
func (m *Manager) Create(ctx context.Context, c Creation) (Created, error) {
	return m.create(ctx, c, func(context.Context, playback.EnvironmentID) error { return nil })
}

// create is Create, if check finds nothing against it when the operation is in
// the journal.
func (m *Manager) create(ctx context.Context, c Creation, check func(context.Context, playback.EnvironmentID) error) (Created, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	settings, ok := m.cfg.Settings(c.Environment)
	switch {
	case !ok:
		return Created{}, noEnvironment()
	case !c.Local && settings.Mux == nil:
		return Created{}, playback.Errorf(playback.CodeKeyState,
			"The environment has no access token of Mux (mux.token_id), so Mux cannot be asked for a key; a local key is for verifiers other than Mux.")
	}
	entry := keystore.Entry{Operation: opImport, By: c.By}
	if !c.Local {
		known, err := m.known(ctx, settings.Mux)
		if err != nil {
			return Created{}, err
		}
		entry = keystore.Entry{Operation: opCreate, Known: known, By: c.By}
	}
	o, err := m.begin(ctx, c.Environment, entry)
	if err != nil {
		return Created{}, err
	}
	if err := check(ctx, c.Environment); err != nil {
		return Created{}, errors.Join(err, o.close(ctx))
	}
	made, err := o.make(ctx, c, settings.Mux)
	if err != nil {
		return Created{}, o.abandon(ctx, err)
	}
	created, err := m.store(ctx, o, c, made)
	if err != nil {
		return Created{}, o.abandon(ctx, err)
	}
	return created, o.close(ctx)
}

// make makes the key, and notes its ID as soon as there is one.
func (o *operation) make(ctx context.Context, c Creation, mux Mux) (made MuxKey, err error) {
	if c.Local {
		made, err = generate()
	} else if made, err = mux.Create(ctx); err != nil {
		err = muxFailed(fmt.Errorf("making a key at Mux: %w", err))
	}
	if err != nil {
		return MuxKey{}, err
	}
	if err = o.note(ctx, func(e *keystore.Entry) { e.ID = made.ID }); err != nil && !c.Local {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		err = errors.Join(errUnsettled, err, mux.Delete(ctx, made.ID)) // this process alone knows it
	}
	return made, err
}

// generate makes a local key, named by its thumbprint.
func generate() (MuxKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, keystore.MinBits)
	if err != nil {
		return MuxKey{}, fmt.Errorf("generating a key: %w", err)
	}
	thumbprint := keystore.ThumbprintOf(&private.PublicKey)
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})
	return MuxKey{
		ID:         playback.KeyID(hex.EncodeToString(thumbprint[:16])),
		PrivateKey: playback.NewSecret(base64.StdEncoding.EncodeToString(text)),
	}, nil
}

// errUnsettled says that something may be on its way, so that whoever comes
// next settles the operation when it has arrived.
var errUnsettled = errors.New("the operation is settled later")

// abandon takes back what a creation that failed has done. Where that cannot be
// told yet, or fails as well, the journal says so to whoever comes next.
func (o *operation) abandon(ctx context.Context, failure error) error {
	if errors.Is(failure, ErrUnknownOutcome) {
		return failure
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	switch {
	case errors.Is(failure, errUnsettled):
		// Nobody may conclude from the end of this process that all is over.
		return errors.Join(failure, o.note(ctx, func(e *keystore.Entry) {
			e.Host, e.Until = e.Host+" (gave up)", o.m.cfg.Now().UTC()
		}))
	case o.entry.ID == "", o.entry.Operation == opImport && errors.Is(failure, keystore.ErrExists):
		return errors.Join(failure, o.close(ctx)) // nothing has changed
	}
	if _, err := o.settle(ctx); err != nil {
		return errors.Join(failure, err, o.release(ctx))
	}
	return errors.Join(failure, o.close(ctx))
}

// known returns the keys that Mux has.
func (m *Manager) known(ctx context.Context, mux Mux) ([]playback.KeyID, error) {
	list, err := mux.List(ctx)
	if err != nil {
		return nil, muxFailed(fmt.Errorf("listing keys at Mux: %w", err))
	}
	known := make([]playback.KeyID, len(list))
	for i := range list {
		known[i] = list[i].ID
	}
	return known, nil
}

func muxFailed(err error) error {
	if refused, ok := errors.AsType[*playback.Error](err); ok {
		return refused
	}
	return unavailable("Mux's API did not do what it was asked.", err)
}

// store checks a new key and stores it, prepared.
func (m *Manager) store(ctx context.Context, o *operation, c Creation, made MuxKey) (Created, error) {
	if !made.ID.Valid() {
		return Created{}, unavailable("Mux's API did not do what it was asked.", fmt.Errorf("%.140q is no key ID", made.ID))
	}
	material, _, err := keystore.WellFormed([]byte(made.PrivateKey.Reveal()))
	if err != nil {
		return Created{}, unavailable("The new key cannot be used.", fmt.Errorf("key %s %w", made.ID, err))
	}
	life := keystore.Life{State: keystore.Prepared, CreatedAt: m.stamp(), External: c.External}
	if err := o.keep(ctx, keystore.NewKey{ID: made.ID, PEM: material, Life: life}); err != nil {
		return Created{}, err
	}
	m.audit(ctx, "created", o.env, "key", made.ID, "by", c.By, "request_id", c.RequestID, "local", c.Local, "external", c.External)
	m.cfg.Changed(ctx, o.env)
	return Created{Status: statusOf(made.ID, life), PrivateKey: made.PrivateKey}, nil
}

// keep stores a key, if the operation is still this process's when that is
// done: otherwise somebody has settled it, and the key is deleted.
func (o *operation) keep(ctx context.Context, key keystore.NewKey) error {
	if err := o.m.cfg.Keeper.Create(ctx, o.env, key); err != nil {
		err = fmt.Errorf("storing key %s: %w", key.ID, err)
		if errors.Is(err, keystore.ErrExists) {
			return stored(err)
		}
		return errors.Join(errUnsettled, stored(err))
	}
	err := o.note(ctx, func(*keystore.Entry) {})
	if !errors.Is(err, keystore.ErrChanged) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	settings, _ := o.m.cfg.Settings(o.env)
	if o.entry.Operation == opCreate && settings.Mux != nil {
		err = errors.Join(err, settings.Mux.Delete(ctx, key.ID))
	}
	return errors.Join(errUnsettled, err, o.burn(ctx, key.ID))
}

// Import stores a key from elsewhere, prepared and well-formed. It is external:
// whoever gave it may go on signing with it.
func (m *Manager) Import(ctx context.Context, i Import) (Imported, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	if !i.Key.Valid() {
		return Imported{}, playback.Errorf(playback.CodeInvalidField, "%.140q is no key ID: want 1 to 128 letters, digits, _ and -.", i.Key)
	}
	material, repairs, err := keystore.WellFormed([]byte(i.Material.Reveal()))
	if err != nil {
		return Imported{}, playback.Errorf(playback.CodeInvalidField, "The key %s.", err.Error())
	}
	o, err := m.begin(ctx, i.Environment, keystore.Entry{Operation: opImport, ID: i.Key, By: i.By})
	if err != nil {
		return Imported{}, err
	}
	life := keystore.Life{State: keystore.Prepared, CreatedAt: m.stamp(), External: true}
	if err := o.keep(ctx, keystore.NewKey{ID: i.Key, PEM: material, Life: life}); err != nil {
		return Imported{}, o.abandon(ctx, err)
	}
	m.audit(ctx, "imported", i.Environment, "key", i.Key, "by", i.By)
	m.cfg.Changed(ctx, i.Environment)
	return Imported{statusOf(i.Key, life), repairs}, o.close(ctx)
}
