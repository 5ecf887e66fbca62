package node

import (
	"context"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/api/status"
	"github.com/blockmill/blockmill/pool"
)

// diskService serves blockmill.v1.DiskService.
type diskService struct {
	blockmillpb.UnimplementedDiskServiceServer
	node *pool.Node
}

// Attach says how a virtual machine uses a disk.
func (s *diskService) Attach(ctx context.Context, req *blockmillpb.AttachRequest) (*blockmillpb.Attachment, error) {
	if err := rules.Check(req); err != nil {
		return nil, err
	}
	d, err := findDisk(ctx, s.node, req.GetDiskId(), auth.User)
	if err != nil {
		return nil, status.Err(err)
	}
	a, err := s.node.AttachDisk(d.ID)
	if err != nil {
		return nil, status.Err(err)
	}
	return &blockmillpb.Attachment{
		DiskId: string(d.ID), Path: a.Path, Format: string(a.Format), Method: string(a.Method), NbdUri: a.NBDURI, Qemu: a.QEMU,
	}, nil
}
