package compute_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/blockmill/blockmill/blockio/cas"
)

// The whole life of an image, with every field.
func TestImageLife(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	raw := guest(5<<20, "bytes")
	hardware := &computepb.HardwareGeneration{Features: &computepb.HardwareGeneration_Generation2Features{
		Generation2Features: &computepb.Generation2HardwareFeatures{SecureBootTemplateId: "sb", VtpmEnabled: true},
	}}
	req := &computepb.CreateImageRequest{
		FolderId: "f", Name: "debian", Description: "a system", Labels: map[string]string{"a": "b"},
		Family: "debian-12", MinDiskSize: 12 << 20, ProductIds: []string{"p1", "p2"},
		Source: &computepb.CreateImageRequest_Uri{Uri: s.put("/raw", raw)},
		Os:     &computepb.Os{Type: computepb.Os_LINUX, Nvidia: &computepb.Nvidia{Driver: "d"}},
		Pooled: true, HardwareGeneration: hardware,
	}
	op, err := w.images.Create(w.as("alice"), req)
	img := response[*computepb.Image](w, op, err)
	want := &computepb.Image{
		Id: img.GetId(), FolderId: "f", CreatedAt: img.GetCreatedAt(), Name: "debian", Description: "a system",
		Labels: map[string]string{"a": "b"}, Family: "debian-12", Size: 5 << 20, StorageSize: img.GetStorageSize(),
		MinDiskSize: 12 << 20, ProductIds: []string{"p1", "p2"}, Status: computepb.Image_READY,
		Os: req.GetOs(), Pooled: true, HardwareGeneration: hardware,
	}
	if diff := cmp.Diff(want, img, protocmp.Transform()); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	if n := img.GetStorageSize(); n <= 0 || n > 1<<20 {
		t.Errorf("storage size %d", n)
	}
	meta := new(computepb.CreateImageMetadata)
	if err := op.GetMetadata().UnmarshalTo(meta); err != nil || meta.GetImageId() != img.GetId() {
		t.Errorf("metadata %v, %v", meta, err)
	}
	get := func() *computepb.Image {
		t.Helper()
		got, err := w.images.Get(w.as("alice"), &computepb.GetImageRequest{ImageId: img.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if diff := cmp.Diff(want, get(), protocmp.Transform()); diff != "" {
		t.Errorf("got (-want +got):\n%s", diff)
	}
	list, err := w.images.List(w.as("alice"), &computepb.ListImagesRequest{FolderId: "f", Filter: `name = "debian"`})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*computepb.Image{want}, list.GetImages(), protocmp.Transform()); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	latest, err := w.images.GetLatestByFamily(w.as("alice"), &computepb.GetImageLatestByFamilyRequest{FolderId: "f", Family: "debian-12"})
	if err != nil || latest.GetId() != img.GetId() {
		t.Errorf("latest: %v, %v", latest, err)
	}

	// One path of a mask changes one field, no mask all of them.
	op, err = w.images.Update(w.as("alice"), &computepb.UpdateImageRequest{
		ImageId: img.GetId(), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}}, Name: "other", Description: "new",
	})
	want.Description = "new"
	if diff := cmp.Diff(want, response[*computepb.Image](w, op, err), protocmp.Transform()); diff != "" {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	op, err = w.images.Update(w.as("alice"), &computepb.UpdateImageRequest{ImageId: img.GetId(), Name: "renamed", Labels: map[string]string{"c": "d"}})
	want.Name, want.Description, want.Labels, want.MinDiskSize = "renamed", "", map[string]string{"c": "d"}, 8<<20
	if diff := cmp.Diff(want, response[*computepb.Image](w, op, err), protocmp.Transform()); diff != "" {
		t.Errorf("updated without a mask (-want +got):\n%s", diff)
	}

	// An image of it inherits what it does not say.
	op, err = w.images.Create(w.as("alice"), &computepb.CreateImageRequest{
		FolderId: "f", Name: "copy", Source: &computepb.CreateImageRequest_ImageId{ImageId: img.GetId()}, Os: &computepb.Os{},
	})
	copied := response[*computepb.Image](w, op, err)
	wantCopy := &computepb.Image{
		Id: copied.GetId(), FolderId: "f", CreatedAt: copied.GetCreatedAt(), Name: "copy", Size: want.GetSize(), StorageSize: want.GetStorageSize(),
		MinDiskSize: 8 << 20, ProductIds: want.GetProductIds(), Status: computepb.Image_READY, Os: want.GetOs(), HardwareGeneration: hardware,
	}
	if diff := cmp.Diff(wantCopy, copied, protocmp.Transform()); diff != "" {
		t.Errorf("copied (-want +got):\n%s", diff)
	}
	op, err = w.images.Create(w.as("alice"), &computepb.CreateImageRequest{
		FolderId: "f", Source: &computepb.CreateImageRequest_ImageId{ImageId: img.GetId()},
		Os: &computepb.Os{Type: computepb.Os_WINDOWS}, ProductIds: []string{"p3"},
	})
	other := response[*computepb.Image](w, op, err)
	if other.GetOs().GetType() != computepb.Os_WINDOWS || !slices.Equal(other.GetProductIds(), []string{"p3"}) {
		t.Errorf("said otherwise: %v", other)
	}

	ops, err := w.images.ListOperations(w.as("alice"), &computepb.ListImageOperationsRequest{ImageId: img.GetId(), PageSize: 2})
	if err != nil || len(ops.GetOperations()) != 2 || ops.GetNextPageToken() == "" || ops.GetOperations()[0].GetDescription() != "Update image" {
		t.Errorf("operations: %v, %v", ops, err)
	}
	op, err = w.images.Delete(w.as("alice"), &computepb.DeleteImageRequest{ImageId: img.GetId()})
	response[*emptypb.Empty](w, op, err)
	_, err = w.images.Get(w.as("alice"), &computepb.GetImageRequest{ImageId: img.GetId()})
	refused(t, codes.NotFound, err)
	_, err = w.images.Delete(w.as("alice"), &computepb.DeleteImageRequest{ImageId: img.GetId()})
	refused(t, codes.NotFound, err)
}

// What clients look into without asking is there when nothing was said.
func TestNeverNil(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	img := w.image(s, "f", "plain")
	if img.GetOs() == nil || img.GetKmsKey() != nil {
		t.Errorf("image: %v", img)
	}
	d := w.disk("f", "plain")
	if d.GetDiskPlacementPolicy() == nil {
		t.Errorf("disk: %v", d)
	}
	op, err := w.snapshots.Create(w.as("alice"), &computepb.CreateSnapshotRequest{
		FolderId: "f", DiskId: d.GetId(), HardwareGeneration: &computepb.HardwareGeneration{},
	})
	snap := response[*computepb.Snapshot](w, op, err)
	for _, of := range []interface {
		GetHardwareGeneration() *computepb.HardwareGeneration
	}{img, d, snap} {
		if legacy := of.GetHardwareGeneration().GetLegacyFeatures(); legacy.GetPciTopology() != computepb.PCITopology_PCI_TOPOLOGY_V1 {
			t.Errorf("not the generation that suits all: %v", of)
		}
	}
}

// An image is what its file says, or there is none.
func TestImageSources(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	create := func(uri string, min int64, headers ...string) (*opb.Operation, error) {
		return w.images.Create(w.as("alice", headers...), &computepb.CreateImageRequest{
			FolderId: "f", Name: "name", MinDiskSize: min, Source: &computepb.CreateImageRequest_Uri{Uri: uri},
		})
	}
	raw := guest(64<<10, "raw")
	sum := sha256.Sum256(raw)
	d := cas.NewDigester(64 << 10)
	if err := d.PutWindow(0, raw); err != nil {
		t.Fatal(err)
	}
	digest, err := d.Sum()
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Repeat("0", 64)
	failing := []struct {
		name    string
		p       []byte
		min     int64
		headers []string
		code    codes.Code
		text    string
	}{
		{"gzip", guest(512, "\x1f\x8b\x08"), 0, nil, codes.InvalidArgument, "gzip"},
		{"no sectors", guest(1000, "raw"), 0, nil, codes.InvalidArgument, "signature"},
		{"empty", nil, 0, nil, codes.InvalidArgument, ""},
		{"page", guest(512, "<html"), 0, nil, codes.InvalidArgument, "html"},
		{"broken qcow2", guest(64<<10, "QFI\xfb\x00\x00\x00\x09"), 0, nil, codes.InvalidArgument, "qcow2"},
		{"large", guest(8<<20, "raw"), 4 << 20, nil, codes.InvalidArgument, "Minimal disk size should be greater or equal than 8388608"},
		{"other file", raw, 0, []string{"blockmill-expected-sha256", other}, codes.FailedPrecondition, ""},
		{"other bytes", raw, 0, []string{"blockmill-expected-digest", other}, codes.FailedPrecondition, "digest"},
	}
	for _, tt := range failing {
		op, err := create(s.put("/"+tt.name, tt.p), tt.min, tt.headers...)
		text := w.fails(tt.code, op, err)
		w.noSecret(tt.name, text)
		if !strings.Contains(text, tt.text) {
			t.Errorf("%s: %q does not say %q", tt.name, text, tt.text)
		}
	}
	op, err := create(s.URL+"/none?X-Amz-Signature="+secret, 0)
	w.noSecret("missing file", w.fails(codes.FailedPrecondition, op, err))
	for _, uri := range []string{"file:///etc/passwd", "ftp://h/p", "https://", "://", "https://u:p@h/p", "/p"} {
		_, err := create(uri, 0)
		refused(t, codes.InvalidArgument, err)
	}
	for _, h := range []string{"blockmill-expected-sha256", "blockmill-expected-digest"} {
		for _, v := range []string{"x", other[1:], other + "0"} {
			_, err := create(s.put("/raw", raw), 0, h, v)
			refused(t, codes.InvalidArgument, err)
		}
	}
	if list, err := w.images.List(w.as("alice"), &computepb.ListImagesRequest{FolderId: "f"}); err != nil || len(list.GetImages()) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
	for r, err := range w.store.Records(t.Context(), "") {
		t.Errorf("record %s %s is left (%v)", r.Kind, r.ID, err)
	}
	op, err = create(s.put("/raw", raw), 0, "blockmill-expected-sha256", hex.EncodeToString(sum[:]), "blockmill-expected-digest", digest.String())
	img := response[*computepb.Image](w, op, err)
	if img.GetMinDiskSize() != 4<<20 || img.GetSize() != 64<<10 {
		t.Errorf("image: %v", img)
	}

	// Nothing that is shown or kept tells the signature.
	for r := range w.store.Records(t.Context(), "") {
		w.noSecret("record", string(r.Payload))
	}
	ops, _, err := w.operations.List(operationsOf("f"))
	if err != nil || len(ops) < len(failing) {
		t.Fatalf("%d operations, %v", len(ops), err)
	}
	for _, op := range ops {
		w.noSecret("operation", protojson.Format(op))
	}
}

func TestImageRefusals(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	img := w.image(s, "f", "one")
	w.image(s, "f", "two")
	id := img.GetId()
	create := func(who string, edit func(*computepb.CreateImageRequest)) error {
		req := &computepb.CreateImageRequest{FolderId: "f", Source: &computepb.CreateImageRequest_ImageId{ImageId: id}}
		edit(req)
		_, err := w.images.Create(w.as(who), req)
		return err
	}
	update := func(req *computepb.UpdateImageRequest) error {
		req.ImageId = id
		_, err := w.images.Update(w.as("alice"), req)
		return err
	}
	tests := []struct {
		name string
		err  error
		code codes.Code
	}{
		{"taken name", create("alice", func(r *computepb.CreateImageRequest) { r.Name = "two" }), codes.AlreadyExists},
		{"many violations", create("alice", func(r *computepb.CreateImageRequest) { r.Name, r.Family = "-", "x" }), codes.InvalidArgument},
		{"no source", create("alice", func(r *computepb.CreateImageRequest) { r.Source = nil }), codes.InvalidArgument},
		{"unknown image", create("alice", func(r *computepb.CreateImageRequest) {
			r.Source = &computepb.CreateImageRequest_ImageId{ImageId: "none"}
		}), codes.NotFound},
		{"unknown snapshot", create("alice", func(r *computepb.CreateImageRequest) {
			r.Source = &computepb.CreateImageRequest_SnapshotId{SnapshotId: "none"}
		}), codes.NotFound},
		{"unknown disk", create("alice", func(r *computepb.CreateImageRequest) {
			r.Source = &computepb.CreateImageRequest_DiskId{DiskId: "none"}
		}), codes.NotFound},
		{"viewer of the folder", create("victor", func(*computepb.CreateImageRequest) {}), codes.PermissionDenied},
		{"nobody", create("", func(*computepb.CreateImageRequest) {}), codes.NotFound},
		{"name taken by an update", update(&computepb.UpdateImageRequest{Name: "two"}), codes.AlreadyExists},
		{"unknown path", update(&computepb.UpdateImageRequest{UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"family"}}}), codes.InvalidArgument},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refused(t, tt.code, tt.err) })
	}
	_, err := w.images.Get(t.Context(), &computepb.GetImageRequest{ImageId: id})
	refused(t, codes.Unauthenticated, err)
	_, err = w.images.Get(t.Context(), &computepb.GetImageRequest{ImageId: "none"})
	refused(t, codes.Unauthenticated, err)
	_, err = w.images.Delete(t.Context(), &computepb.DeleteImageRequest{ImageId: id})
	refused(t, codes.Unauthenticated, err)
}

func TestSmallDisksOfLargeImage(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	op, err := w.images.Create(w.as("alice"), &computepb.CreateImageRequest{
		FolderId: "f", Source: &computepb.CreateImageRequest_Uri{Uri: s.put("/large", guest(6<<20, "x"))},
	})
	img := response[*computepb.Image](w, op, err)
	const want = "Minimal disk size should be greater or equal than 6291456"
	_, err = w.images.Create(w.as("alice"), &computepb.CreateImageRequest{
		FolderId: "f", MinDiskSize: 4 << 20, Source: &computepb.CreateImageRequest_ImageId{ImageId: img.GetId()},
	})
	if text := refused(t, codes.InvalidArgument, err); text != want {
		t.Errorf("create: %q, want %q", text, want)
	}
	_, err = w.images.Update(w.as("alice"), &computepb.UpdateImageRequest{ImageId: img.GetId(), MinDiskSize: 4 << 20})
	if text := refused(t, codes.InvalidArgument, err); text != want {
		t.Errorf("update: %q, want %q", text, want)
	}
}

func TestListImages(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	for i := range 5 {
		w.image(s, "f", fmt.Sprintf("n%d", i))
	}
	op, err := w.images.Create(w.as("alice"), &computepb.CreateImageRequest{
		FolderId: "f", Name: "special", Family: "fam", Labels: map[string]string{"env/x": "prod"}, Description: "a \"b\"",
		Source: &computepb.CreateImageRequest_Uri{Uri: s.put("/special", guest(512, "x"))},
	})
	response[*computepb.Image](w, op, err)
	names := func(filter, order string, size int64) []string {
		t.Helper()
		var all []string
		req := &computepb.ListImagesRequest{FolderId: "f", Filter: filter, OrderBy: order, PageSize: size}
		for {
			list, err := w.images.List(w.as("alice"), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, img := range list.GetImages() {
				all = append(all, img.GetName())
			}
			if n := len(list.GetImages()); size > 0 && n > int(size) || list.GetNextPageToken() != "" && n != int(size) {
				t.Errorf("%d images on a page of %d", n, size)
			}
			if req.PageToken = list.GetNextPageToken(); req.GetPageToken() == "" {
				return all
			}
		}
	}
	tests := []struct {
		filter, order string
		size          int64
		want          []string
	}{
		{"", "name", 0, []string{"n0", "n1", "n2", "n3", "n4", "special"}},
		{"", "name desc", 2, []string{"special", "n4", "n3", "n2", "n1", "n0"}},
		{"", "createdAt desc", 1, []string{"special", "n4", "n3", "n2", "n1", "n0"}},
		{"", "created_at", 3, []string{"n0", "n1", "n2", "n3", "n4", "special"}},
		{`name = "n3"`, "", 0, []string{"n3"}},
		{`name = "none"`, "", 0, nil},
		{`name IN ("n3", "n1", "x")`, "name", 1, []string{"n1", "n3"}},
		{`name != "n3" AND name NOT IN ('n1', "special")`, "name", 2, []string{"n0", "n2", "n4"}},
		{`family = "fam"`, "", 0, []string{"special"}},
		{`labels.env/x = "prod" AND status = "READY"`, "", 0, []string{"special"}},
		{`description = "a \"b\""`, "", 0, []string{"special"}},
		{`name = "n3" AND name = "n4"`, "", 0, nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, names(tt.filter, tt.order, tt.size)); diff != "" {
			t.Errorf("filter %s, order %q (-want +got):\n%s", tt.filter, tt.order, diff)
		}
	}
	first, err := w.images.List(w.as("alice"), &computepb.ListImagesRequest{FolderId: "f", PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, req := range []*computepb.ListImagesRequest{
		{FolderId: "f", Filter: "name ="},
		{FolderId: "f", Filter: `size = "1"`},
		{FolderId: "f", OrderBy: "size"},
		{FolderId: "f", PageToken: "x"},
		{FolderId: "f", PageToken: first.GetNextPageToken(), Filter: `name = "n1"`},
		{FolderId: "f", OrderBy: "createdAt", PageToken: first.GetNextPageToken()},
	} {
		_, err := w.images.List(w.as("alice"), req)
		refused(t, codes.InvalidArgument, err)
	}
}

func TestAccessBindings(t *testing.T) {
	w, s := newWorld(t), newWeb(t)
	img := w.image(s, "f", "shared")
	id := img.GetId()
	bind := func(role, subject string) *access.AccessBinding {
		return &access.AccessBinding{RoleId: role, Subject: &access.Subject{Id: subject, Type: "userAccount"}}
	}
	delta := func(action access.AccessBindingAction, b *access.AccessBinding) *access.AccessBindingDelta {
		return &access.AccessBindingDelta{Action: action, AccessBinding: b}
	}
	get := func(who string) codes.Code {
		_, err := w.images.Get(w.as(who), &computepb.GetImageRequest{ImageId: id})
		return statusCode(err)
	}
	if c := get("mallory"); c != codes.NotFound {
		t.Errorf("before: %v", c)
	}
	op, err := w.images.SetAccessBindings(w.as("alice"), &access.SetAccessBindingsRequest{
		ResourceId: id, AccessBindings: []*access.AccessBinding{bind("viewer", "mallory"), bind("user", "x"), bind("user", "x")},
	})
	result := response[*access.AccessBindingsOperationResult](w, op, err)
	want := &access.AccessBindingsOperationResult{EffectiveDeltas: []*access.AccessBindingDelta{
		delta(access.AccessBindingAction_ADD, bind("viewer", "mallory")), delta(access.AccessBindingAction_ADD, bind("user", "x")),
	}}
	if diff := cmp.Diff(want, result, protocmp.Transform()); diff != "" {
		t.Errorf("set (-want +got):\n%s", diff)
	}
	if c := get("mallory"); c != codes.OK {
		t.Errorf("bound: %v", c)
	}
	// A viewer sees, and does nothing else.
	_, err = w.images.Delete(w.as("mallory"), &computepb.DeleteImageRequest{ImageId: id})
	refused(t, codes.PermissionDenied, err)
	use := func() error {
		_, err := w.images.Create(w.as("mallory"), &computepb.CreateImageRequest{FolderId: "m", Source: &computepb.CreateImageRequest_ImageId{ImageId: id}})
		return err
	}
	refused(t, codes.PermissionDenied, use())
	_, err = w.images.SetAccessBindings(w.as("edgar"), &access.SetAccessBindingsRequest{ResourceId: id})
	refused(t, codes.PermissionDenied, err)

	op, err = w.images.UpdateAccessBindings(w.as("alice"), &access.UpdateAccessBindingsRequest{ResourceId: id, AccessBindingDeltas: []*access.AccessBindingDelta{
		delta(access.AccessBindingAction_ADD, bind("user", "mallory")), delta(access.AccessBindingAction_ADD, bind("user", "x")),
		delta(access.AccessBindingAction_REMOVE, bind("viewer", "mallory")), delta(access.AccessBindingAction_REMOVE, bind("editor", "y")),
	}})
	result = response[*access.AccessBindingsOperationResult](w, op, err)
	want = &access.AccessBindingsOperationResult{EffectiveDeltas: []*access.AccessBindingDelta{
		delta(access.AccessBindingAction_REMOVE, bind("viewer", "mallory")), delta(access.AccessBindingAction_ADD, bind("user", "mallory")),
	}}
	if diff := cmp.Diff(want, result, protocmp.Transform()); diff != "" {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	if err := use(); err != nil {
		t.Errorf("a user of the image may not use it: %v", err)
	}
	w.restart()
	list, err := w.images.ListAccessBindings(w.as("alice"), &access.ListAccessBindingsRequest{ResourceId: id, PageSize: 1})
	if err != nil || len(list.GetAccessBindings()) != 1 || list.GetNextPageToken() == "" {
		t.Fatalf("first page: %v, %v", list, err)
	}
	rest, err := w.images.ListAccessBindings(w.as("alice"), &access.ListAccessBindingsRequest{ResourceId: id, PageToken: list.GetNextPageToken()})
	if err != nil || rest.GetNextPageToken() != "" {
		t.Fatalf("second page: %v, %v", rest, err)
	}
	all := append(list.GetAccessBindings(), rest.GetAccessBindings()...)
	if diff := cmp.Diff([]*access.AccessBinding{bind("user", "x"), bind("user", "mallory")}, all, protocmp.Transform()); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	_, err = w.images.ListAccessBindings(w.as("alice"), &access.ListAccessBindingsRequest{ResourceId: id, PageToken: "x"})
	refused(t, codes.InvalidArgument, err)
}
