package site

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Write puts every file of the site below a directory, which is made when it is not there.
// What else the directory holds stays.
func (s *Site) Write(ctx context.Context, dir string) error {
	for _, name := range s.Paths() {
		data, err := s.File(ctx, name)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("the site's directory: %w", err)
		}
		if err := os.WriteFile(target, data, 0o644); err != nil {
			return fmt.Errorf("a page of the site: %w", err)
		}
	}
	return nil
}
