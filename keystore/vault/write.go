package vault

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/api"
)

// write posts a body to a path; the answer may be nil. The error holds a
// *refusalError if Vault refused.
func (s *Source) write(ctx context.Context, path string, body map[string]any) (answer *api.Secret, err error) {
	err = s.change(ctx, "writing "+path, func(ctx context.Context) (err error) {
		answer, err = s.client.Logical().WriteWithContext(ctx, path, body)
		return err
	})
	return answer, err
}

// erase deletes a path.
func (s *Source) erase(ctx context.Context, path string) error {
	return s.change(ctx, "deleting "+path, func(ctx context.Context) error {
		_, err := s.client.Logical().DeleteWithContext(ctx, path)
		return err
	})
}

// change makes a request that changes something, logged in: again with another
// token if Vault refused the first.
func (s *Source) change(ctx context.Context, doing string, request func(context.Context) error) error {
	if err := s.session.ensure(ctx); err != nil {
		return err
	}
	once := func() error {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
		defer cancel()
		if err := request(ctx); err != nil {
			return fmt.Errorf("%s: %w", doing, plainly(err))
		}
		return nil
	}
	token := s.client.Token()
	err := once()
	if forbidden(err) {
		if fresh, _ := s.session.replace(ctx, token); fresh { // the refusal says more than a failed log-in
			err = once()
		}
	}
	if err != nil {
		return s.explain(err)
	}
	return nil
}
