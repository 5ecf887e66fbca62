package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/blockmill/blockmill/pool"
)

// verified is what verify says of one image.
type verified struct {
	ID     pool.ImageID `json:"id"`
	Name   string       `json:"name"`
	Digest string       `json:"digest"`
	Intact bool         `json:"intact"`
	Error  string       `json:"error,omitempty"`
}

func (a *app) storeVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify --store S [IMAGE]",
		Short: "Read images and check every byte",
		Long: `Read an image, or all, and check every chunk and the image's digest. Exit status
1 when one is damaged.`,
		Example: `  blockmill store verify --store /srv/images
  blockmill store verify --store /srv/images debian`,
		Args: cobra.MaximumNArgs(1),
		RunE: a.runs(func(cmd *cobra.Command, args []string) error {
			return a.withCatalog(cmd.Context(), func(s *openStore, catalog *pool.Catalog) error {
				images := catalog.Images()
				damage := catalog.Damage()
				if len(args) == 1 {
					img, err := catalog.Find(args[0])
					if err != nil {
						return fmt.Errorf("verify %s: %w", args[0], err)
					}
					images, damage = []pool.Image{img}, nil
				}
				results, err := verifyImages(cmd.Context(), s, images)
				if err != nil {
					return err
				}
				err = a.print(results, func(w io.Writer) { verifiedTable(w, results) })
				return errors.Join(err, damage, firstDamage(results))
			})
		}),
	}
}

// verifyImages goes on after a damaged image; its error is that of the context.
func verifyImages(ctx context.Context, s *openStore, images []pool.Image) ([]verified, error) {
	results := []verified{}
	v := s.NewVerifier()
	for _, img := range images {
		err := v.Verify(ctx, img.Manifest)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		r := verified{ID: img.ID, Name: img.Name, Digest: img.Digest.String(), Intact: err == nil}
		if err != nil {
			r.Error = err.Error()
		}
		results = append(results, r)
	}
	return results, nil
}

func verifiedTable(w io.Writer, results []verified) {
	row(w, "ID", "NAME", "STATE")
	for _, r := range results {
		state := "intact"
		if !r.Intact {
			state = "DAMAGED"
		}
		row(w, r.ID, r.Name, state)
	}
}

// firstDamage is the error of the first damaged image, and how many there are.
func firstDamage(results []verified) error {
	var first *verified
	damaged := 0
	for i := range results {
		if r := &results[i]; !r.Intact {
			damaged++
			if first == nil {
				first = r
			}
		}
	}
	if first == nil {
		return nil
	}
	return fmt.Errorf("verify: %d of %d images damaged, the first %s: %s", damaged, len(results), first.ID, first.Error)
}
