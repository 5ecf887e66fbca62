package compute

import (
	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/blockmill/blockmill/pool"
)

// imageMessage shows an image.
func imageMessage(img pool.Image) *computepb.Image {
	return &computepb.Image{
		Id: string(img.ID), FolderId: string(img.Folder), CreatedAt: timestamppb.New(img.CreatedAt),
		Name: img.Name, Description: img.Description, Labels: img.Labels,
		Family: img.Family, Size: img.VirtualSize, StorageSize: img.StorageSize, MinDiskSize: img.MinDiskSize,
		ProductIds: img.ProductIDs, Status: computepb.Image_Status(statusNumber(img.Status)),
		Os: osMessage(img.OS), Pooled: img.Pooled, HardwareGeneration: hardwareMessage(img.HardwareGeneration),
	}
}

// snapshotMessage shows a snapshot.
func snapshotMessage(s pool.Snapshot) *computepb.Snapshot {
	return &computepb.Snapshot{
		Id: string(s.ID), FolderId: string(s.Folder), CreatedAt: timestamppb.New(s.CreatedAt),
		Name: s.Name, Description: s.Description, Labels: s.Labels,
		StorageSize: s.StorageSize, DiskSize: s.VirtualSize, ProductIds: s.ProductIDs,
		Status: computepb.Snapshot_Status(statusNumber(s.Status)), SourceDiskId: string(s.SourceDisk),
		HardwareGeneration: hardwareMessage(s.HardwareGeneration),
	}
}

// diskMessage shows a disk. Its placement policy is never nil: clients look into
// it without asking.
func diskMessage(d pool.Disk) *computepb.Disk {
	m := &computepb.Disk{
		Id: string(d.ID), FolderId: string(d.Folder), CreatedAt: timestamppb.New(d.CreatedAt),
		Name: d.Name, Description: d.Description, Labels: d.Labels,
		TypeId: d.Type, ZoneId: d.Zone, Size: d.Size, BlockSize: d.BlockSize, ProductIds: d.ProductIDs,
		Status: computepb.Disk_Status(statusNumber(d.Status)), DiskPlacementPolicy: placementMessage(d.PlacementPolicy),
		HardwareGeneration: hardwareMessage(d.HardwareGeneration),
	}
	switch {
	case d.Source.Image != "":
		m.Source = &computepb.Disk_SourceImageId{SourceImageId: string(d.Source.Image)}
	case d.Source.Snapshot != "":
		m.Source = &computepb.Disk_SourceSnapshotId{SourceSnapshotId: string(d.Source.Snapshot)}
	}
	return m
}

// statusNumber gives a status's number, which is the same for all kinds.
func statusNumber(s pool.Status) int32 {
	return [...]int32{
		pool.Creating: int32(computepb.Image_CREATING),
		pool.Ready:    int32(computepb.Image_READY),
		pool.Deleting: int32(computepb.Image_DELETING),
	}[s]
}

// osMessage shows an operating system. It is never nil: clients look into it
// without asking.
func osMessage(os pool.OS) *computepb.Os {
	m := &computepb.Os{}
	switch os.Type {
	case pool.Linux:
		m.Type = computepb.Os_LINUX
	case pool.Windows:
		m.Type = computepb.Os_WINDOWS
	}
	if os.Nvidia != nil {
		m.Nvidia = &computepb.Nvidia{Driver: os.Nvidia.Driver}
	}
	return m
}

func osOf(m *computepb.Os) pool.OS {
	var os pool.OS
	switch m.GetType() {
	case computepb.Os_LINUX:
		os.Type = pool.Linux
	case computepb.Os_WINDOWS:
		os.Type = pool.Windows
	}
	if m.GetNvidia() != nil {
		os.Nvidia = &pool.Nvidia{Driver: m.GetNvidia().GetDriver()}
	}
	return os
}

// hardwareMessage reads what encode wrote into a record. It is never nil: where
// nobody said anything, neither for the thing nor for its sources, it is the
// generation that suits every image. A client that leaves the choice to the
// service compares, and would make the thing anew each time it found none.
func hardwareMessage(p []byte) *computepb.HardwareGeneration {
	m := new(computepb.HardwareGeneration)
	if proto.Unmarshal(p, m) != nil || m.Features == nil {
		return &computepb.HardwareGeneration{Features: &computepb.HardwareGeneration_LegacyFeatures{
			LegacyFeatures: &computepb.LegacyHardwareFeatures{PciTopology: computepb.PCITopology_PCI_TOPOLOGY_V1},
		}}
	}
	return m
}

func placementMessage(p []byte) *computepb.DiskPlacementPolicy {
	m := new(computepb.DiskPlacementPolicy)
	if proto.Unmarshal(p, m) != nil {
		return new(computepb.DiskPlacementPolicy)
	}
	return m
}

// encode writes a part of a request for a record; nil stays nil.
func encode(m proto.Message) ([]byte, error) {
	if !m.ProtoReflect().IsValid() {
		return nil, nil
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}
