package main

import (
	"cmp"
	"net/http"
	"os"
	"slices"

	"github.com/blockmill/blockmill/api/server"
	"github.com/blockmill/blockmill/api/web"
)

// page is what REST answers with where no service is: the status page, unless
// that is not wanted.
func (d *daemon) page() http.Handler {
	notFound := http.HandlerFunc(server.NotFound)
	if !d.conf.REST.Page {
		return notFound
	}
	name, err := os.Hostname()
	if err != nil {
		name = "blockmill"
	}
	source := d.services.Page(web.Services{
		Name: name, StartedAt: started, Warnings: d.warnings, Folders: d.folders, Images: d.compute.Images(),
	})
	pages := web.Handler(&source)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/", "/page.css", "/page.js", "/status.json":
			pages.ServeHTTP(w, r)
		default:
			notFound(w, r)
		}
	})
}

// warnings are what an operator has to know of the configuration.
func (d *daemon) warnings() []string {
	var all []string
	if len(d.admitted.Load().Auth.Accounts) == 0 {
		all = append(all, "No accounts are configured: every caller on this machine is an administrator.")
	}
	if wrong := d.store.dir.Degraded(); wrong != "" {
		all = append(all, "The store was degraded when the daemon started: "+wrong)
	}
	return all
}

// folders are those that the configuration names which is in force.
func (d *daemon) folders() []string { return d.admitted.Load().folders() }

// folders are those that the configuration names.
func (c *config) folders() []string {
	all := []string{c.DefaultFolder}
	for _, a := range c.Auth.Accounts {
		for folder := range a.Folders {
			if folder != "*" {
				all = append(all, folder)
			}
		}
	}
	slices.SortFunc(all, cmp.Compare[string])
	return slices.Compact(all)
}
