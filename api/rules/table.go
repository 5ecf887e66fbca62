package rules

import (
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// line is the rules of one field, or that one of a oneof's fields is required.
type line struct {
	field protoreflect.Name
	rules []rule
}

// Sizes in bytes.
const (
	minDisk      = 4 << 20
	maxImageDisk = 4 << 40
	maxDisk      = 26 << 40
)

// compiled is the table, made when it is first wanted.
var compiled struct {
	once  sync.Once
	lines map[protoreflect.FullName][]line
}

// linesOf gives the lines of a message; one that has none may say anything.
func linesOf(message protoreflect.FullName) []line {
	compiled.once.Do(func() { compiled.lines = table() })
	return compiled.lines[message]
}

// table is the lines of each message.
func table() map[protoreflect.FullName][]line {
	var (
		compute     protoreflect.FullName = "yandex.cloud.compute.v1"
		access      protoreflect.FullName = "yandex.cloud.access"
		operation   protoreflect.FullName = "yandex.cloud.operation"
		endpoint    protoreflect.FullName = "yandex.cloud.endpoint"
		own         protoreflect.FullName = "blockmill.v1"
		id                                = characters(50)
		name                              = matching(`[a-z]([-_a-z0-9]{0,61}[a-z0-9])?`)
		family                            = matching(`[a-z][-a-z0-9]{1,61}[a-z0-9]`)
		description                       = characters(256)
		pageSize                          = atMost(1000)
		pageToken                         = characters(100)
	)
	f := func(field protoreflect.Name, rules ...rule) line { return line{field, rules} }
	oneOf := func(oneof protoreflect.Name) line { return line{field: oneof} }
	of := func(field protoreflect.Name) line { return f(field, required, id) }
	listing := []line{
		of("folder_id"), f("page_size", pageSize), f("page_token", pageToken),
		f("filter", characters(1000)), f("order_by", characters(100)),
	}
	history := func(field protoreflect.Name) []line {
		return []line{of(field), f("page_size", pageSize), f("page_token", pageToken)}
	}
	named := []line{f("name", name), f("description", description), f("labels", labels)}
	with := func(lines []line, more ...line) []line { return append(more, lines...) }
	export := []line{f("destination", required, message), f("credentials", message)}
	minDiskSize := f("min_disk_size", between(minDisk, maxImageDisk))
	hardware := f("hardware_generation", message)
	placement := f("disk_placement_policy", message)

	return map[protoreflect.FullName][]line{
		compute + ".GetImageRequest":               {of("image_id")},
		compute + ".GetImageLatestByFamilyRequest": {of("folder_id"), f("family", required, family)},
		compute + ".ListImagesRequest":             listing,
		compute + ".CreateImageRequest": with(named, of("folder_id"), f("family", family), minDiskSize,
			f("product_ids", elements(0, 1000), each(id)), oneOf("source"),
			f("image_id", id), f("disk_id", id), f("snapshot_id", id), f("uri", characters(16<<10)),
			f("os", message), hardware),
		compute + ".UpdateImageRequest": with(named, of("image_id"), minDiskSize,
			f("update_mask", paths("name", "description", "min_disk_size", "labels"))),
		compute + ".DeleteImageRequest":         {of("image_id")},
		compute + ".ExportImageRequest":         with(export, of("image_id")),
		compute + ".ListImageOperationsRequest": history("image_id"),

		compute + ".GetSnapshotRequest":    {of("snapshot_id")},
		compute + ".ListSnapshotsRequest":  listing,
		compute + ".CreateSnapshotRequest": with(named, of("folder_id"), of("disk_id"), hardware),
		compute + ".UpdateSnapshotRequest": with(named, of("snapshot_id"),
			f("update_mask", paths("name", "description", "labels"))),
		compute + ".DeleteSnapshotRequest":         {of("snapshot_id")},
		compute + ".ExportSnapshotRequest":         with(export, of("snapshot_id")),
		compute + ".ListSnapshotOperationsRequest": history("snapshot_id"),

		compute + ".GetDiskRequest":   {of("disk_id")},
		compute + ".ListDisksRequest": listing,
		compute + ".CreateDiskRequest": with(named, of("folder_id"), f("type_id", id), of("zone_id"),
			f("size", required, between(minDisk, maxDisk), multipleOf(minDisk)),
			f("block_size", between(4<<10, 128<<10), powerOfTwo), f("image_id", id), f("snapshot_id", id),
			placement, hardware,
			f("snapshot_schedule_ids", absent("This node has no snapshot schedules")),
			f("kms_key_id", id, absent("This node does not encrypt disks"))),
		compute + ".UpdateDiskRequest": with(named, of("disk_id"),
			f("size", between(minDisk, maxDisk), multipleOf(minDisk)), placement,
			f("update_mask", paths("name", "description", "labels", "size", "disk_placement_policy"))),
		compute + ".DeleteDiskRequest":         {of("disk_id")},
		compute + ".ListDiskOperationsRequest": history("disk_id"),

		operation + ".GetOperationRequest":    {of("operation_id")},
		operation + ".CancelOperationRequest": {of("operation_id")},
		endpoint + ".GetApiEndpointRequest":   {of("api_endpoint_id")},

		own + ".WatchRequest":          {of("operation_id")},
		own + ".ListOperationsRequest": {of("folder_id"), f("page_token", pageToken)}, // longer pages are cut
		own + ".CreateFromFileRequest": {f("path", required, characters(4<<10)), f("image", required)},
		own + ".AttachRequest":         {of("disk_id")},
		own + ".ListPoolsRequest":      {of("folder_id")},
		own + ".GetPoolRequest":        {of("image_id")},
		own + ".SetPoolRequest":        {of("image_id")},

		// Parts of requests. What the protos leave unbounded is bounded here, so
		// that a record stays small.
		compute + ".Os":                          {f("type", defined), f("nvidia", message)},
		compute + ".Nvidia":                      {f("driver", characters(256))},
		compute + ".HardwareGeneration":          {f("legacy_features", message), f("generation2_features", message)},
		compute + ".LegacyHardwareFeatures":      {f("pci_topology", defined)},
		compute + ".Generation2HardwareFeatures": {f("secure_boot_template_id", id)},
		compute + ".DiskPlacementPolicy":         {f("placement_group_id", id)},
		compute + ".ExportDestination": {
			f("endpoint", characters(1024)), f("region", characters(64)),
			f("bucket", required, characters(255)), f("prefix", characters(512)),
		},
		compute + ".ExportS3Credentials": {
			f("access_key_id", required, characters(1024)), f("secret_access_key", required, characters(1024)),
		},

		access + ".ListAccessBindingsRequest": {
			f("resource_id", required, characters(64)), f("page_size", pageSize), f("page_token", pageToken),
		},
		access + ".SetAccessBindingsRequest": {
			f("resource_id", required, characters(64)), f("access_bindings", elements(0, 1000), each(message)),
		},
		access + ".UpdateAccessBindingsRequest": {
			f("resource_id", required, characters(64)), f("access_binding_deltas", elements(1, 1000), each(message)),
		},
		access + ".AccessBindingDelta": {f("action", required, defined), f("access_binding", required, message)},
		access + ".AccessBinding":      {f("role_id", required, characters(64)), f("subject", required, message)},
		access + ".Subject":            {f("id", required, characters(100)), f("type", required, characters(100))},
	}
}

// atMost bounds a number that may be zero.
func atMost(most int64) rule {
	return func(v value, out *Violations) {
		if n := v.Int(); n < 0 || n > most {
			out.Add(v.path, "Value must be in the range from 0 to %d", most)
		}
	}
}
