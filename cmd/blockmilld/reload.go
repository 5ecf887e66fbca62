package main

import (
	"reflect"
	"slices"
	"strings"
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
	if keys := kept(d.conf, conf); len(keys) > 0 {
		d.log.Warn("the configuration has changes that only a restart takes over", "keys", strings.Join(keys, ", "))
	}
	d.log.Info("the configuration was read again")
}

// reloaded are the keys that reload takes over; of the files of certificates it is
// what is in them.
var reloaded = [...]string{
	"log.level", "auth.accounts", "limits.connections", "fetch.allow", "fetch.allow_http", "fetch.max_redirects",
}

// kept are the keys in which a configuration differs from the one that is in force,
// but for those that reload takes over.
func kept(inForce, now *config) []string {
	keys := differences("", reflect.ValueOf(inForce).Elem(), reflect.ValueOf(now).Elem())
	return slices.DeleteFunc(keys, func(key string) bool { return slices.Contains(reloaded[:], key) })
}

// differences are the keys below one that have different values.
func differences(key string, a, b reflect.Value) []string {
	if a.Kind() != reflect.Struct {
		if reflect.DeepEqual(a.Interface(), b.Interface()) {
			return nil
		}
		return []string{key}
	}
	var keys []string
	for i := range a.NumField() {
		name := a.Type().Field(i).Tag.Get("koanf")
		if key != "" {
			name = key + "." + name
		}
		keys = append(keys, differences(name, a.Field(i), b.Field(i))...)
	}
	return keys
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
