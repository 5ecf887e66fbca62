package pool_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/blockmill/blockmill/blockio/cas"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/provision"
	"github.com/blockmill/blockmill/pool/ready"
)

var update = flag.Bool("update", false, "write the golden files anew")

func metaOf[I ~string](id I) pool.Meta[I] {
	return pool.Meta[I]{
		ID: id, Folder: "production", Name: "web-1", Description: "the first", Labels: map[string]string{"tier": "front"},
		CreatedAt: time.Date(2026, 12, 1, 12, 30, 0, 123456789, time.UTC),
		Bindings:  []pool.Binding{{Role: "editor", SubjectType: "serviceAccount", SubjectID: "terraform"}},
		Operation: "fd8operation00000000", IdempotencyKey: "2fa1b6c0", Submission: []byte("submitted"),
	}
}

// things have something in every field, more than a thing ever has.
func things() map[string]any {
	contents := pool.Contents{
		Digest: cas.Digest{1, 2}, Manifest: cas.ManifestID{3, 4}, VirtualSize: 4 << 30, StorageSize: 1 << 30, Chunks: 30_000,
	}
	heritage := pool.Heritage{
		ProductIDs: []string{"f2e1"}, OS: pool.OS{Type: pool.Linux, Nvidia: &pool.Nvidia{Driver: "550"}}, HardwareGeneration: []byte{10, 0},
	}
	source := pool.Source{Image: "fd8image000000000000", Snapshot: "fd8snapshot000000000", Disk: "fd8disk0000000000000", URI: "https://images.example/a"}
	return map[string]any{
		"image": pool.Image{
			Meta: metaOf[pool.ImageID]("fd8image000000000000"), Contents: contents, Heritage: heritage,
			Format: convert.QCOW2, Family: "debian", MinDiskSize: 4 << 30, Pooled: true, Source: source,
		},
		"snapshot": pool.Snapshot{
			Meta: metaOf[pool.SnapshotID]("fd8snapshot000000000"), Contents: contents, Heritage: heritage, SourceDisk: source.Disk,
		},
		"disk": pool.Disk{
			Meta: metaOf[pool.DiskID]("fd8disk0000000000000"), Heritage: heritage, Type: "network-ssd", Zone: "node-1",
			Size: 10 << 30, BlockSize: 4096, Source: source, Base: contents.Manifest, Dir: "/srv/blockmill/disks",
			Backing: "03040000000000000000000000000000-0a", Method: provision.Overlay, Format: convert.QCOW2, PlacementPolicy: []byte{10, 0},
		},
	}
}

// allSet says of which fields of a record v has nothing.
func allSet(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	for i := range v.NumField() {
		f, of := v.Field(i), v.Type().Field(i)
		switch {
		case of.Tag.Get("json") == "-":
		case f.Kind() == reflect.Struct && f.Type() != reflect.TypeFor[time.Time]():
			allSet(t, f, path+"."+of.Name)
		case f.IsZero():
			t.Errorf("%s.%s is not set", path, of.Name)
		}
	}
}

// goldenRecord holds a payload against a file that was written once, and gives that.
func goldenRecord(t *testing.T, kind string, payload []byte) []byte {
	t.Helper()
	var got bytes.Buffer
	if err := json.Indent(&got, payload, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	path := filepath.Join("testdata", kind+".v1.json")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("a record of another form than version 1 (-want +got):\n%s", diff)
	}
	return want
}

// documented looks for every member of an object in FORMAT.md.
func documented(t *testing.T, object []byte) {
	t.Helper()
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range members {
		if !bytes.Contains(text, []byte("`"+name+"`")) {
			t.Errorf("FORMAT.md does not have %s", name)
		}
		if value[0] == '{' && name != "labels" {
			documented(t, value)
		}
	}
}

func TestRecordFormat(t *testing.T) {
	for kind, v := range things() {
		t.Run(kind, func(t *testing.T) {
			allSet(t, reflect.ValueOf(v), kind)
			rec, err := pool.Codecs[kind].Encode(v)
			if err != nil {
				t.Fatal(err)
			}
			want := goldenRecord(t, kind, rec.Payload)
			documented(t, want)
			rec.Payload = want
			got, err := pool.Codecs[kind].Decode(rec)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v, got); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPoolRecordFormat(t *testing.T) {
	s := ready.Settings{Min: 2, Max: 50, Capacity: 10, IdleLimit: time.Hour}
	allSet(t, reflect.ValueOf(s), "pool")
	payload, err := pool.EncodePool(s)
	if err != nil {
		t.Fatal(err)
	}
	want := goldenRecord(t, "pool", payload)
	documented(t, want)
	var got ready.Settings
	if err := json.Unmarshal(want, &got); err != nil || got != s {
		t.Errorf("read %+v, %v", got, err)
	}
}

// FuzzThing reads anything as the record of a thing. What can be read is written as
// what reads the same, and a disk is the same in its file.
func FuzzThing(f *testing.F) {
	for kind := range pool.Codecs {
		p, err := os.ReadFile(filepath.Join("testdata", kind+".v1.json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(kind, p)
	}
	f.Add("disk", []byte(`{"version":1,"id":"a","labels":{},"os":{"nvidia":{}}}`))
	f.Add("image", []byte(`{"version":2,"id":"a"}`))
	f.Add("snapshot", []byte(`null`))
	f.Fuzz(func(t *testing.T, kind string, payload []byte) {
		codec, ok := pool.Codecs[kind]
		if !ok {
			return
		}
		same := func(what string, want, got any) {
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		var named struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(payload, &named) != nil {
			named.ID = "unknown"
		}
		v, err := codec.Decode(cas.Record{Kind: kind, ID: named.ID, Payload: payload})
		if kind == "disk" {
			d, errCarried := pool.DecodeCarried(payload)
			if (err == nil) != (errCarried == nil) {
				t.Fatalf("in the store %v, in the file %v", err, errCarried)
			}
			if err == nil {
				same("in the file", v, *d)
			}
		}
		if err != nil {
			if !strings.Contains(err.Error(), kind) {
				t.Errorf("an error that does not say of what: %v", err)
			}
			return
		}
		rec, err := codec.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := codec.Decode(rec)
		if err != nil {
			t.Fatalf("%s: %v", rec.Payload, err)
		}
		same("read again", v, again)
	})
}
