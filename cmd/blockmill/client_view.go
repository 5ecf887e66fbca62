package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// metaView is what all kinds of things have.
type metaView struct {
	ID          string            `json:"id"`
	FolderID    string            `json:"folder_id"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Labels      map[string]string `json:"labels"`
}

func viewMeta(t interface {
	GetId() string
	GetFolderId() string
	GetName() string
	GetDescription() string
	GetLabels() map[string]string
},
) metaView {
	return metaView{ID: t.GetId(), FolderID: t.GetFolderId(), Name: t.GetName(), Description: t.GetDescription(), Labels: labels(t.GetLabels())}
}

func (v metaView) rows(w io.Writer) {
	row(w, "id", v.ID)
	row(w, "folder", v.FolderID)
	row(w, "name", v.Name)
	row(w, "description", v.Description)
	row(w, "labels", labelText(v.Labels))
}

// imageView is an image of the daemon's. Sizes are in bytes.
type imageView struct {
	metaView
	Family      string    `json:"family"`
	Status      string    `json:"status"`
	VirtualSize int64     `json:"virtual_size"`
	StorageSize int64     `json:"storage_size"`
	MinDiskSize int64     `json:"min_disk_size"`
	ProductIDs  []string  `json:"product_ids"`
	OS          string    `json:"os"`
	Pooled      bool      `json:"pooled"`
	CreatedAt   time.Time `json:"created_at"`
}

func viewImage(img *compute.Image) viewed {
	return imageView{
		metaView: viewMeta(img),
		Family:   img.Family, Status: img.Status.String(), VirtualSize: img.Size, StorageSize: img.StorageSize,
		MinDiskSize: img.MinDiskSize, ProductIDs: list0(img.ProductIds), Pooled: img.Pooled,
		OS: osName(img.GetOs().GetType()), CreatedAt: instant(img.CreatedAt),
	}
}

func imageHead() []any {
	return []any{"ID", "NAME", "FAMILY", "VIRTUAL SIZE", "STORAGE SIZE", "STATUS", "POOLED", "CREATED"}
}

func (v imageView) cells() []any {
	return []any{v.ID, v.Name, v.Family, human(v.VirtualSize), human(v.StorageSize), v.Status, yes(v.Pooled), v.CreatedAt.Format(time.RFC3339)}
}

func (v imageView) table(w io.Writer) {
	v.rows(w)
	row(w, "family", v.Family)
	row(w, "status", v.Status)
	row(w, "virtual size", human(v.VirtualSize))
	row(w, "storage size", human(v.StorageSize))
	row(w, "least disk", human(v.MinDiskSize))
	row(w, "products", strings.Join(v.ProductIDs, " "))
	row(w, "os", v.OS)
	row(w, "pooled", yes(v.Pooled))
	row(w, "created", v.CreatedAt.Format(time.RFC3339))
}

// diskView is a disk of the daemon's. Sizes are in bytes.
type diskView struct {
	metaView
	Status         string    `json:"status"`
	Type           string    `json:"type"`
	Zone           string    `json:"zone"`
	Size           int64     `json:"size"`
	BlockSize      int64     `json:"block_size"`
	SourceImage    string    `json:"source_image"`
	SourceSnapshot string    `json:"source_snapshot"`
	CreatedAt      time.Time `json:"created_at"`
}

func viewDisk(d *compute.Disk) viewed {
	return diskView{
		metaView: viewMeta(d),
		Status:   d.Status.String(), Type: d.TypeId, Zone: d.ZoneId, Size: d.Size, BlockSize: d.BlockSize,
		SourceImage: d.GetSourceImageId(), SourceSnapshot: d.GetSourceSnapshotId(), CreatedAt: instant(d.CreatedAt),
	}
}

func diskHead() []any { return []any{"ID", "NAME", "SIZE", "STATUS", "FROM", "CREATED"} }

func (v diskView) from() string {
	switch {
	case v.SourceImage != "":
		return "image " + v.SourceImage
	case v.SourceSnapshot != "":
		return "snapshot " + v.SourceSnapshot
	}
	return "nothing"
}

func (v diskView) cells() []any {
	return []any{v.ID, v.Name, human(v.Size), v.Status, v.from(), v.CreatedAt.Format(time.RFC3339)}
}

func (v diskView) table(w io.Writer) {
	v.rows(w)
	row(w, "status", v.Status)
	row(w, "type", v.Type)
	row(w, "zone", v.Zone)
	row(w, "size", human(v.Size))
	row(w, "block size", human(v.BlockSize))
	row(w, "made from", v.from())
	row(w, "created", v.CreatedAt.Format(time.RFC3339))
}

// snapshotView is a snapshot of the daemon's. Sizes are in bytes.
type snapshotView struct {
	metaView
	Status      string    `json:"status"`
	DiskSize    int64     `json:"disk_size"`
	StorageSize int64     `json:"storage_size"`
	SourceDisk  string    `json:"source_disk"`
	CreatedAt   time.Time `json:"created_at"`
}

func viewSnapshot(s *compute.Snapshot) viewed {
	return snapshotView{
		metaView: viewMeta(s),
		Status:   s.Status.String(), DiskSize: s.DiskSize, StorageSize: s.StorageSize, SourceDisk: s.SourceDiskId,
		CreatedAt: instant(s.CreatedAt),
	}
}

func snapshotHead() []any {
	return []any{"ID", "NAME", "DISK", "DISK SIZE", "STORAGE SIZE", "STATUS", "CREATED"}
}

func (v snapshotView) cells() []any {
	return []any{v.ID, v.Name, v.SourceDisk, human(v.DiskSize), human(v.StorageSize), v.Status, v.CreatedAt.Format(time.RFC3339)}
}

func (v snapshotView) table(w io.Writer) {
	v.rows(w)
	row(w, "status", v.Status)
	row(w, "disk", v.SourceDisk)
	row(w, "disk size", human(v.DiskSize))
	row(w, "storage size", human(v.StorageSize))
	row(w, "created", v.CreatedAt.Format(time.RFC3339))
}

// instant is a time as people and scripts see it.
func instant(t *timestamppb.Timestamp) time.Time { return t.AsTime() }

// labels and list0 are what an absent map or list is in a JSON document.
func labels(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func list0(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func labelText(m map[string]string) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, fmt.Sprintf("%s=%s", k, m[k]))
	}
	return strings.Join(all, " ")
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func osName(t compute.Os_Type) string {
	if t == compute.Os_TYPE_UNSPECIFIED {
		return ""
	}
	return strings.ToLower(t.String())
}
