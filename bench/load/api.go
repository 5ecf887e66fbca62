package load

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	compute "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// Target is the daemon and what in it the acts are done with.
type Target struct {
	Conn   grpc.ClientConnInterface
	Folder string
	// Image is the id of an image that is there; disks are made from it.
	Image string
	Zone  string // of disks
	// DiskSize is that of disks; the image's least size when 0.
	DiskSize int64
}

// pollEvery is how often an operation that is not done is asked for.
const pollEvery = 2 * time.Millisecond

// API gives the acts of the daemon's API, all of weight 0.
func API(t Target) []Act {
	images, disks := compute.NewImageServiceClient(t.Conn), compute.NewDiskServiceClient(t.Conn)
	return []Act{
		{Name: "get", Do: func(ctx context.Context) error {
			_, err := images.Get(ctx, &compute.GetImageRequest{ImageId: t.Image})
			return err
		}},
		{Name: "list", Do: func(ctx context.Context) error {
			_, err := images.List(ctx, &compute.ListImagesRequest{FolderId: t.Folder, PageSize: 100})
			return err
		}},
		{Name: "update", Do: func(ctx context.Context) error {
			_, err := images.Update(ctx, &compute.UpdateImageRequest{ImageId: t.Image, Labels: map[string]string{"loaded": "yes"}})
			return err
		}},
		{Name: "disk", Do: newMaker(t, disks).make},
	}
}

// maker makes disks. A disk is deleted again, but that is not waited for, as
// little as by those who delete one.
type maker struct {
	target     Target
	disks      compute.DiskServiceClient
	operations operation.OperationServiceClient
	run        int64
	made       atomic.Int64
}

func newMaker(t Target, disks compute.DiskServiceClient) *maker {
	return &maker{target: t, disks: disks, operations: operation.NewOperationServiceClient(t.Conn), run: time.Now().UnixNano()}
}

func (m *maker) make(ctx context.Context) error {
	op, err := m.disks.Create(ctx, &compute.CreateDiskRequest{
		FolderId: m.target.Folder, ZoneId: m.target.Zone, Size: m.target.DiskSize,
		Name:   fmt.Sprintf("load-%d-%d", m.run, m.made.Add(1)),
		Source: &compute.CreateDiskRequest_ImageId{ImageId: m.target.Image},
	})
	if err != nil {
		return err
	}
	if op, err = m.wait(ctx, op); err != nil {
		return err
	}
	var disk compute.Disk
	if err := op.GetResponse().UnmarshalTo(&disk); err != nil {
		return fmt.Errorf("response of a create: %w", err)
	}
	_, err = m.disks.Delete(ctx, &compute.DeleteDiskRequest{DiskId: disk.Id})
	return err
}

// wait follows an operation to its end.
func (m *maker) wait(ctx context.Context, op *operation.Operation) (*operation.Operation, error) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for !op.Done {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		var err error
		if op, err = m.operations.Get(ctx, &operation.GetOperationRequest{OperationId: op.Id}); err != nil {
			return nil, err
		}
	}
	if e := op.GetError(); e != nil {
		return nil, status.ErrorProto(e)
	}
	if op.GetResponse() == nil {
		return nil, errors.New("an operation is done without a response")
	}
	return op, nil
}
