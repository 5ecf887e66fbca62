package compute_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Answers in testdata/answers.json are those of the calls below, with times and
// random ids made alike. UPDATE_GOLDEN=1 writes them anew.
func TestGoldenAnswers(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	golden := answers{t: t, all: map[string]any{}, ids: map[string]string{}}
	alice := w.as("alice")

	created, err := w.images.Create(alice, &computepb.CreateImageRequest{
		FolderId: "f", Name: "debian", Description: "text", Labels: map[string]string{"env": "prod"}, Family: "debian-12",
		ProductIds: []string{"p1"}, Source: &computepb.CreateImageRequest_Uri{Uri: s.put("/raw", guest(1<<20, "golden"))},
		Os: &computepb.Os{Type: computepb.Os_LINUX}, Pooled: true,
		HardwareGeneration: &computepb.HardwareGeneration{Features: &computepb.HardwareGeneration_LegacyFeatures{
			LegacyFeatures: &computepb.LegacyHardwareFeatures{PciTopology: computepb.PCITopology_PCI_TOPOLOGY_V1},
		}},
	})
	golden.add("image create", created, err)
	golden.add("image created", w.wait(created, err), nil)
	img := response[*computepb.Image](w, created, err)
	list, err := w.images.List(alice, &computepb.ListImagesRequest{FolderId: "f"})
	golden.add("image list", list, err)
	op, err := w.images.Update(alice, &computepb.UpdateImageRequest{ImageId: img.GetId()})
	golden.add("image reset", op, err)
	op, err = w.images.UpdateAccessBindings(alice, &access.UpdateAccessBindingsRequest{ResourceId: img.GetId(), AccessBindingDeltas: []*access.AccessBindingDelta{{
		Action: access.AccessBindingAction_ADD, AccessBinding: &access.AccessBinding{RoleId: "viewer", Subject: &access.Subject{Id: "u", Type: "userAccount"}},
	}}})
	golden.add("image update bindings", op, err)
	bindings, err := w.images.ListAccessBindings(alice, &access.ListAccessBindingsRequest{ResourceId: img.GetId()})
	golden.add("image bindings", bindings, err)
	op, err = w.disks.Create(alice, &computepb.CreateDiskRequest{
		FolderId: "f", Name: "disk", ZoneId: "zone", TypeId: "type", Size: 4 << 20, Source: &computepb.CreateDiskRequest_ImageId{ImageId: img.GetId()},
	})
	disk := response[*computepb.Disk](w, op, err)
	golden.add("disk created", w.wait(op, err), nil)
	op, err = w.snapshots.Create(alice, &computepb.CreateSnapshotRequest{FolderId: "f", Name: "snap", DiskId: disk.GetId()})
	golden.add("snapshot created", w.wait(op, err), nil)
	op, err = w.images.Delete(alice, &computepb.DeleteImageRequest{ImageId: img.GetId()})
	golden.add("image delete", op, err)
	op, err = w.images.Create(alice, &computepb.CreateImageRequest{
		FolderId: "f", Name: "bad", Source: &computepb.CreateImageRequest_Uri{Uri: s.put("/zip", guest(4096, "PK\x03\x04"))},
	})
	golden.add("image of an archive", w.wait(op, err), nil)
	_, err = w.images.Create(alice, &computepb.CreateImageRequest{FolderId: "f", Name: "Bad", Family: "x", MinDiskSize: 1})
	golden.add("image of nothing", nil, err)
	_, err = w.images.Get(alice, &computepb.GetImageRequest{ImageId: "unknown"})
	golden.add("unknown image", nil, err)
	_, err = w.disks.Create(alice, &computepb.CreateDiskRequest{FolderId: "f", Name: "disk", ZoneId: "zone", Size: 4 << 20})
	golden.add("name of a disk", nil, err)
	golden.compare(filepath.Join("testdata", "answers.json"))
}

// answers are the answers to compare.
type answers struct {
	t   *testing.T
	all map[string]any
	ids map[string]string
}

// add notes an answer or an error, as REST has it.
func (a *answers) add(name string, m proto.Message, err error) {
	a.t.Helper()
	if err != nil {
		m = grpcstatus.Convert(err).Proto()
	}
	if op, ok := m.(*opb.Operation); ok {
		m = proto.CloneOf(op)
	}
	p, err := protojson.MarshalOptions{EmitUnpopulated: false}.Marshal(m)
	if err != nil {
		a.t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal([]byte(a.alike(string(p))), &v); err != nil {
		a.t.Fatal(err)
	}
	a.all[name] = v
}

var (
	randomID = regexp.MustCompile(`\b[a-z0-9]{20}\b`)
	moment   = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`)
	address  = regexp.MustCompile(`127\.0\.0\.1:\d+`)
)

// alike gives ids names in the order in which they come.
func (a *answers) alike(text string) string {
	text = moment.ReplaceAllString(text, "TIME")
	text = address.ReplaceAllString(text, "HOST")
	return randomID.ReplaceAllStringFunc(text, func(id string) string {
		if !slices.Contains([]rune(id), 'e') && strings.Trim(id, "0123456789") == "" {
			return id // a number
		}
		if a.ids[id] == "" {
			a.ids[id] = "ID" + string(rune('A'+len(a.ids)))
		}
		return a.ids[id]
	})
}

func (a *answers) compare(path string) {
	a.t.Helper()
	got, err := json.MarshalIndent(a.all, "", "  ")
	if err != nil {
		a.t.Fatal(err)
	}
	got = append(got, '\n')
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			a.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		a.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		a.t.Errorf("(-want +got):\n%s", diff)
	}
}
