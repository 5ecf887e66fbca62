package main

import (
	"reflect"
	"time"
)

// certificatesEvery is how often the files of certificates are looked at.
const certificatesEvery = time.Minute

// reload reads the configuration again and takes over what a running daemon can. A
// configuration that is wrong changes nothing.
func (d *daemon) reload(from sources) {
	d.supervisor.reloading()
	defer d.supervisor.ready()
	_, conf, err := from.load()
	if err != nil {
		d.log.Error("the configuration stays as it was", "reason", err)
		return
	}
	if err := setLevel(d.level, conf.Log.Level); err != nil {
		d.log.Error("the configuration stays as it was", "reason", err)
		return
	}
	if err := d.setAccounts(conf); err != nil {
		d.log.Error("the accounts stay as they were", "reason", err)
	}
	d.server.SetConnections(conf.Limits.Connections)
	d.compute.SetFetch(d.fetchOptions(conf))
	d.renewCertificates(true)
	if !reflect.DeepEqual(fixed(conf), fixed(d.conf)) {
		d.log.Warn("the configuration has changes that only a restart takes over")
	}
	d.log.Info("the configuration was read again")
}

// fixed is a configuration without what reload takes over.
func fixed(c *config) config {
	f := *c
	f.Log.Level = ""
	f.Auth.Accounts = nil
	f.Limits.Connections = 0
	f.Fetch.Allow, f.Fetch.AllowHTTP, f.Fetch.MaxRedirects = nil, false, 0
	return f
}

// renewCertificates reads the certificates again, all or those of which a file has
// changed.
func (d *daemon) renewCertificates(all bool) {
	for _, c := range d.certificates {
		changed, err := true, error(nil)
		if all {
			err = c.Reload()
		} else {
			changed, err = c.ReloadIfChanged()
		}
		switch {
		case err != nil:
			d.log.Error("the certificates stay as they were", "reason", err)
		case changed:
			d.log.Info("certificates were read again")
		}
	}
}
