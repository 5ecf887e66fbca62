package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/endpoint"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/api/rules"
)

// broken gives the fields that break rules.
func broken(t *testing.T, m proto.Message) []string {
	t.Helper()
	err := rules.Check(m)
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	if s.Code() != codes.InvalidArgument || len(s.Details()) != 1 {
		t.Fatalf("status %v with %d details", s, len(s.Details()))
	}
	var fields []string
	for _, v := range s.Details()[0].(*errdetails.BadRequest).GetFieldViolations() {
		if v.GetDescription() == "" {
			t.Errorf("%s: no description", v.GetField())
		}
		fields = append(fields, v.GetField())
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// requests are messages that break no rule, in the text format.
func requests() map[string]proto.Message {
	all := map[string]proto.Message{}
	add := func(m proto.Message, text string) {
		if err := prototext.Unmarshal([]byte(text), m); err != nil {
			panic(fmt.Sprintf("%T: %v", m, err))
		}
		all[string(m.ProtoReflect().Descriptor().Name())] = m
	}
	add(new(compute.GetImageRequest), `image_id: "i"`)
	add(new(compute.GetImageLatestByFamilyRequest), `folder_id: "f" family: "fam"`)
	add(new(compute.ListImagesRequest), `folder_id: "f"`)
	add(new(compute.CreateImageRequest), `folder_id: "f" uri: "https://h/p"`)
	add(new(compute.UpdateImageRequest), `image_id: "i"`)
	add(new(compute.DeleteImageRequest), `image_id: "i"`)
	add(new(compute.ExportImageRequest), `image_id: "i" destination { endpoint: "https://h" bucket: "b" }`)
	add(new(compute.ListImageOperationsRequest), `image_id: "i"`)
	add(new(compute.GetSnapshotRequest), `snapshot_id: "i"`)
	add(new(compute.ListSnapshotsRequest), `folder_id: "f"`)
	add(new(compute.CreateSnapshotRequest), `folder_id: "f" disk_id: "d"`)
	add(new(compute.UpdateSnapshotRequest), `snapshot_id: "i"`)
	add(new(compute.DeleteSnapshotRequest), `snapshot_id: "i"`)
	add(new(compute.ExportSnapshotRequest), `snapshot_id: "i" destination { endpoint: "https://h" bucket: "b" }`)
	add(new(compute.ListSnapshotOperationsRequest), `snapshot_id: "i"`)
	add(new(compute.GetDiskRequest), `disk_id: "i"`)
	add(new(compute.ListDisksRequest), `folder_id: "f"`)
	add(new(compute.CreateDiskRequest), `folder_id: "f" zone_id: "z" size: 4194304`)
	add(new(compute.UpdateDiskRequest), `disk_id: "i"`)
	add(new(compute.DeleteDiskRequest), `disk_id: "i"`)
	add(new(compute.ListDiskOperationsRequest), `disk_id: "i"`)
	add(new(access.ListAccessBindingsRequest), `resource_id: "i"`)
	add(new(access.SetAccessBindingsRequest), `resource_id: "i"`)
	add(new(access.UpdateAccessBindingsRequest), `resource_id: "i" access_binding_deltas { action: ADD access_binding { role_id: "viewer" subject { id: "u" type: "userAccount" } } }`)
	add(new(opb.GetOperationRequest), `operation_id: "o"`)
	add(new(opb.CancelOperationRequest), `operation_id: "o"`)
	add(new(endpoint.GetApiEndpointRequest), `api_endpoint_id: "compute"`)
	add(new(blockmillpb.WatchRequest), `operation_id: "o"`)
	add(new(blockmillpb.ListOperationsRequest), `folder_id: "f"`)
	add(new(blockmillpb.CreateFromFileRequest), `path: "/p" image { }`)
	add(new(blockmillpb.AttachRequest), `disk_id: "d"`)
	add(new(blockmillpb.ListPoolsRequest), `folder_id: "f"`)
	add(new(blockmillpb.GetPoolRequest), `image_id: "i"`)
	add(new(blockmillpb.SetPoolRequest), `image_id: "i"`)
	return all
}

func TestRequestsPass(t *testing.T) {
	for name, m := range requests() {
		if got := broken(t, m); got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Every rule, from both sides: text is merged into a request that passes.
func TestBounds(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	q := func(s string) string { return fmt.Sprintf("%q", s) }
	tests := []struct {
		requests string // names, separated by spaces
		pass     []string
		fail     []string
		field    string // that of the violation
	}{
		{"GetImageRequest GetPoolRequest SetPoolRequest UpdateImageRequest DeleteImageRequest ExportImageRequest ListImageOperationsRequest", []string{"image_id: " + q(x(50)), "image_id: " + q(strings.Repeat("ж", 50))}, []string{"image_id: " + q(x(51)), `image_id: ""`}, "image_id"},
		{"GetSnapshotRequest UpdateSnapshotRequest DeleteSnapshotRequest ExportSnapshotRequest ListSnapshotOperationsRequest", []string{"snapshot_id: " + q(x(50))}, []string{"snapshot_id: " + q(x(51)), `snapshot_id: ""`}, "snapshot_id"},
		{"GetDiskRequest UpdateDiskRequest DeleteDiskRequest AttachRequest ListDiskOperationsRequest CreateSnapshotRequest", []string{"disk_id: " + q(x(50))}, []string{"disk_id: " + q(x(51)), `disk_id: ""`}, "disk_id"},
		{"ListPoolsRequest ListOperationsRequest GetImageLatestByFamilyRequest ListImagesRequest CreateImageRequest ListSnapshotsRequest CreateSnapshotRequest ListDisksRequest CreateDiskRequest", []string{"folder_id: " + q(x(50))}, []string{"folder_id: " + q(x(51)), `folder_id: ""`}, "folder_id"},
		{"ListImagesRequest ListSnapshotsRequest ListDisksRequest ListImageOperationsRequest ListSnapshotOperationsRequest ListDiskOperationsRequest ListAccessBindingsRequest", []string{"page_size: 1000", "page_size: 0"}, []string{"page_size: 1001", "page_size: -1"}, "page_size"},
		{"ListImagesRequest ListSnapshotsRequest ListDisksRequest ListImageOperationsRequest ListSnapshotOperationsRequest ListDiskOperationsRequest ListAccessBindingsRequest", []string{"page_token: " + q(x(100))}, []string{"page_token: " + q(x(101))}, "page_token"},
		{"ListImagesRequest ListSnapshotsRequest ListDisksRequest", []string{"filter: " + q(x(1000))}, []string{"filter: " + q(x(1001))}, "filter"},
		{"ListImagesRequest ListSnapshotsRequest ListDisksRequest", []string{"order_by: " + q(x(100))}, []string{"order_by: " + q(x(101))}, "order_by"},
		{
			"CreateImageRequest UpdateImageRequest CreateSnapshotRequest UpdateSnapshotRequest CreateDiskRequest UpdateDiskRequest",
			[]string{`name: ""`, `name: "a"`, `name: "a-b_1"`, "name: " + q(x(63))},
			[]string{"name: " + q(x(64)), `name: "A"`, `name: "1a"`, `name: "a-"`, `name: "a\n"`, `name: "b\na"`, `name: "é"`},
			"name",
		},
		{
			"CreateImageRequest UpdateImageRequest CreateSnapshotRequest UpdateSnapshotRequest CreateDiskRequest UpdateDiskRequest",
			[]string{"description: " + q(x(256)), "description: " + q(strings.Repeat("ж", 256))},
			[]string{"description: " + q(x(257))},
			"description",
		},
		{
			"CreateImageRequest UpdateImageRequest CreateSnapshotRequest UpdateSnapshotRequest CreateDiskRequest UpdateDiskRequest",
			[]string{label(x(63), x(63)), label("k", ""), label(`a-_./@9`, `-_./@9a`), labelCount(64)},
			[]string{labelCount(65)},
			"labels",
		},
		{
			"CreateImageRequest UpdateImageRequest CreateSnapshotRequest UpdateSnapshotRequest CreateDiskRequest UpdateDiskRequest",
			nil,
			[]string{label("k", x(64)), label("k", "A"), label("k", `\`)},
			"labels[k]",
		},
		{"CreateImageRequest UpdateImageRequest", nil, []string{label("", "v")}, "labels[]"},
		{"CreateImageRequest UpdateImageRequest", nil, []string{label("1", "v")}, "labels[1]"},
		{"CreateImageRequest UpdateImageRequest", nil, []string{label(`a\`, "v")}, `labels[a\]`},
		{"CreateImageRequest UpdateImageRequest", nil, []string{label(x(64), "v")}, "labels[" + x(64) + "]"},
		{
			"CreateImageRequest GetImageLatestByFamilyRequest",
			[]string{`family: "abc"`, `family: "a-1"`, "family: " + q(x(63))},
			[]string{`family: "ab"`, "family: " + q(x(64)), `family: "a_b"`, `family: "ab-"`, `family: "1bc"`},
			"family",
		},
		{"GetOperationRequest CancelOperationRequest WatchRequest", []string{"operation_id: " + q(x(50))}, []string{"operation_id: " + q(x(51)), `operation_id: ""`}, "operation_id"},
		{"GetApiEndpointRequest", []string{"api_endpoint_id: " + q(x(50))}, []string{"api_endpoint_id: " + q(x(51)), `api_endpoint_id: ""`}, "api_endpoint_id"},
		{"CreateFromFileRequest", []string{"path: " + q(x(4096))}, []string{"path: " + q(x(4097)), `path: ""`}, "path"},
		{"GetImageLatestByFamilyRequest", nil, []string{`family: ""`}, "family"},
		{"CreateImageRequest UpdateImageRequest", []string{"min_disk_size: 0", "min_disk_size: 4194304", "min_disk_size: 4398046511104"}, []string{"min_disk_size: 4194303", "min_disk_size: 4398046511105", "min_disk_size: -1"}, "min_disk_size"},
		{"CreateImageRequest", []string{"product_ids: " + q(x(50))}, []string{`product_ids: "a" product_ids: ` + q(x(51))}, "product_ids[1]"},
		{"CreateImageRequest", []string{strings.Repeat(`product_ids: "a" `, 1000)}, []string{strings.Repeat(`product_ids: "a" `, 1001)}, "product_ids"},
		{"CreateImageRequest", []string{"image_id: " + q(x(50))}, []string{"image_id: " + q(x(51))}, "image_id"},
		{"CreateImageRequest", []string{"disk_id: " + q(x(50))}, []string{"disk_id: " + q(x(51))}, "disk_id"},
		{"CreateImageRequest", []string{"snapshot_id: " + q(x(50))}, []string{"snapshot_id: " + q(x(51))}, "snapshot_id"},
		{"CreateImageRequest", []string{"uri: " + q(x(16<<10))}, []string{"uri: " + q(x(16<<10+1))}, "uri"},
		{"CreateImageRequest", []string{"os { }", "os { type: WINDOWS }"}, []string{"os { type: 7 }"}, "os.type"},
		{"CreateImageRequest", []string{"os { nvidia { driver: " + q(x(256)) + " } }"}, []string{"os { nvidia { driver: " + q(x(257)) + " } }"}, "os.nvidia.driver"},
		{"CreateImageRequest CreateSnapshotRequest CreateDiskRequest", []string{"hardware_generation { legacy_features { pci_topology: PCI_TOPOLOGY_V2 } }"}, []string{"hardware_generation { legacy_features { pci_topology: 9 } }"}, "hardware_generation.legacy_features.pci_topology"},
		{"CreateImageRequest", []string{"hardware_generation { generation2_features { vtpm_enabled: true } }"}, []string{"hardware_generation { generation2_features { secure_boot_template_id: " + q(x(51)) + " } }"}, "hardware_generation.generation2_features.secure_boot_template_id"},
		{"UpdateImageRequest", []string{"update_mask { paths: 'name' paths: 'description' paths: 'min_disk_size' paths: 'labels' }"}, []string{"update_mask { paths: 'family' }", "update_mask { paths: 'Name' }", "update_mask { paths: 'image_id' }"}, "update_mask"},
		{"UpdateSnapshotRequest", []string{"update_mask { paths: 'name' paths: 'description' paths: 'labels' }"}, []string{"update_mask { paths: 'min_disk_size' }"}, "update_mask"},
		{"UpdateDiskRequest", []string{"update_mask { paths: 'name' paths: 'description' paths: 'labels' paths: 'size' paths: 'disk_placement_policy' }"}, []string{"update_mask { paths: 'block_size' }"}, "update_mask"},
		{"CreateDiskRequest", []string{"zone_id: " + q(x(50))}, []string{"zone_id: " + q(x(51)), `zone_id: ""`}, "zone_id"},
		{"CreateDiskRequest", []string{"type_id: " + q(x(50))}, []string{"type_id: " + q(x(51))}, "type_id"},
		{"CreateDiskRequest UpdateDiskRequest", []string{"size: 4194304", "size: 28587302322176"}, []string{"size: 4194303", "size: 28587306516480", "size: 4194305", "size: -4194304"}, "size"},
		{"CreateDiskRequest", nil, []string{"size: 0"}, "size"},
		{"UpdateDiskRequest", []string{"size: 0"}, nil, "size"},
		{"CreateDiskRequest", []string{"block_size: 0", "block_size: 4096", "block_size: 131072"}, []string{"block_size: 2048", "block_size: 262144", "block_size: 12288", "block_size: -4096"}, "block_size"},
		{"CreateDiskRequest", nil, []string{"image_id: " + q(x(51))}, "image_id"},
		{"CreateDiskRequest", nil, []string{"snapshot_id: " + q(x(51))}, "snapshot_id"},
		{"CreateDiskRequest", nil, []string{`kms_key_id: "k"`}, "kms_key_id"},
		{"CreateDiskRequest", nil, []string{`snapshot_schedule_ids: "s"`}, "snapshot_schedule_ids"},
		{"CreateDiskRequest UpdateDiskRequest", []string{"disk_placement_policy { placement_group_id: " + q(x(50)) + " }"}, []string{"disk_placement_policy { placement_group_id: " + q(x(51)) + " }"}, "disk_placement_policy.placement_group_id"},
		{"ExportImageRequest ExportSnapshotRequest", []string{"destination { endpoint: " + q(x(1024)) + " }"}, []string{"destination { endpoint: " + q(x(1025)) + " }"}, "destination.endpoint"},
		{"ExportImageRequest ExportSnapshotRequest", []string{"destination { bucket: " + q(x(255)) + " }"}, []string{"destination { bucket: " + q(x(256)) + " }", "destination { bucket: '' }"}, "destination.bucket"},
		{"ExportImageRequest ExportSnapshotRequest", []string{"destination { region: " + q(x(64)) + " }"}, []string{"destination { region: " + q(x(65)) + " }"}, "destination.region"},
		{"ExportImageRequest ExportSnapshotRequest", []string{"destination { prefix: " + q(x(512)) + " }"}, []string{"destination { prefix: " + q(x(513)) + " }"}, "destination.prefix"},
		{"ExportImageRequest", []string{"credentials { access_key_id: 'a' secret_access_key: 'b' }"}, []string{"credentials { secret_access_key: 'b' }"}, "credentials.access_key_id"},
		{"ExportImageRequest", nil, []string{"credentials { access_key_id: 'a' }"}, "credentials.secret_access_key"},
		{"ListAccessBindingsRequest SetAccessBindingsRequest UpdateAccessBindingsRequest", []string{"resource_id: " + q(x(64))}, []string{"resource_id: " + q(x(65)), `resource_id: ""`}, "resource_id"},
		{"SetAccessBindingsRequest", []string{strings.Repeat(binding("r", "s", "t"), 1000)}, []string{strings.Repeat(binding("r", "s", "t"), 1001)}, "access_bindings"},
		{"SetAccessBindingsRequest", []string{binding(x(64), "s", "t")}, []string{binding(x(65), "s", "t"), binding("", "s", "t")}, "access_bindings[0].role_id"},
		{"SetAccessBindingsRequest", []string{binding("r", x(100), "t")}, []string{binding("r", x(101), "t"), binding("r", "", "t")}, "access_bindings[0].subject.id"},
		{"SetAccessBindingsRequest", []string{binding("r", "s", x(100))}, []string{binding("r", "s", x(101)), binding("r", "s", "")}, "access_bindings[0].subject.type"},
		{"SetAccessBindingsRequest", nil, []string{`access_bindings { role_id: "r" }`}, "access_bindings[0].subject"},
		{"UpdateAccessBindingsRequest", []string{strings.Repeat(delta("ADD"), 999)}, []string{strings.Repeat(delta("ADD"), 1000)}, "access_binding_deltas"},
		{"UpdateAccessBindingsRequest", []string{delta("REMOVE")}, []string{delta("ACCESS_BINDING_ACTION_UNSPECIFIED"), delta("3")}, "access_binding_deltas[1].action"},
		{"UpdateAccessBindingsRequest", nil, []string{"access_binding_deltas { action: ADD }"}, "access_binding_deltas[1].access_binding"},
	}
	for _, tt := range tests {
		for _, name := range strings.Fields(tt.requests) {
			for _, text := range tt.pass {
				if got := broken(t, merged(t, name, text)); got != nil {
					t.Errorf("%s with %.60s: %v", name, text, got)
				}
			}
			for _, text := range tt.fail {
				if diff := cmp.Diff([]string{tt.field}, broken(t, merged(t, name, text))); diff != "" {
					t.Errorf("%s with %.60s (-want +got):\n%s", name, text, diff)
				}
			}
		}
	}
}

// merged is a request that passes with further fields.
func merged(t *testing.T, name, text string) proto.Message {
	t.Helper()
	m := requests()[name]
	extra := m.ProtoReflect().New().Interface()
	if err := prototext.Unmarshal([]byte(text), extra); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	proto.Merge(m, extra)
	// Merging ignores what is empty: a field that is said to be empty is cleared.
	for part := range strings.SplitSeq(text, " }") {
		words := strings.Fields(part)
		if len(words) < 2 {
			continue
		}
		if v := words[len(words)-1]; v == `""` || v == "''" || v == "0" {
			clear := m.ProtoReflect()
			for i, w := range words[:len(words)-1] {
				f := clear.Descriptor().Fields().ByTextName(strings.TrimSuffix(w, ":"))
				switch {
				case f == nil:
				case i == len(words)-2:
					clear.Clear(f)
				case f.Message() != nil && !f.IsList() && !f.IsMap():
					clear = clear.Mutable(f).Message()
				}
			}
		}
	}
	return m
}

func label(k, v string) string { return fmt.Sprintf("labels { key: %q value: %q }", k, v) }

func labelCount(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(label(fmt.Sprintf("k%d", i), "v") + " ")
	}
	return b.String()
}

func binding(role, id, typ string) string {
	return fmt.Sprintf("access_bindings { role_id: %q subject { id: %q type: %q } } ", role, id, typ)
}

func delta(action string) string {
	return fmt.Sprintf("access_binding_deltas { action: %s access_binding { role_id: 'r' subject { id: 's' type: 't' } } } ", action)
}

// Everything that is wrong is said at once.
func TestAllAtOnce(t *testing.T) {
	m := &compute.CreateImageRequest{
		Name: "-", Description: strings.Repeat("x", 257), Family: "x", MinDiskSize: 1,
		Labels: map[string]string{"A": "B"}, ProductIds: []string{strings.Repeat("x", 51)},
		Os: &compute.Os{Type: 9},
	}
	want := []string{"description", "family", "folder_id", "labels[A]", "min_disk_size", "name", "os.type", "product_ids[0]", "source"}
	if diff := cmp.Diff(want, broken(t, m)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
