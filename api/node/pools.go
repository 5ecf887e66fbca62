package node

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/blockmillpb"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/api/status"
	"github.com/blockmill/blockmill/pool"
	"github.com/blockmill/blockmill/pool/ready"
)

// poolService serves blockmill.v1.PoolService.
type poolService struct {
	blockmillpb.UnimplementedPoolServiceServer
	node *pool.Node
}

// List lists the pools of a folder's images.
func (s *poolService) List(ctx context.Context, req *blockmillpb.ListPoolsRequest) (*blockmillpb.ListPoolsResponse, error) {
	if err := rules.Check(req); err != nil {
		return nil, err
	}
	if err := allowedFolder(ctx, req.GetFolderId(), auth.Viewer, auth.Images); err != nil {
		return nil, status.Err(err)
	}
	stats := s.stats()
	resp := new(blockmillpb.ListPoolsResponse)
	for img := range s.node.Images(pool.Query{Folder: pool.FolderID(req.GetFolderId())}) {
		if st, ok := stats[ready.Key(img.ID)]; ok {
			resp.Pools = append(resp.Pools, s.message(st))
		}
	}
	return resp, nil
}

func (s *poolService) stats() map[ready.Key]ready.Stat {
	stats := make(map[ready.Key]ready.Stat)
	for _, st := range s.node.Pools().Stats() {
		stats[st.Key] = st
	}
	return stats
}

// Get gives the pool of an image.
func (s *poolService) Get(ctx context.Context, req *blockmillpb.GetPoolRequest) (*blockmillpb.Pool, error) {
	if err := rules.Check(req); err != nil {
		return nil, err
	}
	img, err := findImage(ctx, s.node, req.GetImageId(), auth.Viewer)
	if err != nil {
		return nil, status.Err(err)
	}
	st, err := s.node.Pools().Stat(ready.Key(img.ID))
	if err != nil {
		return nil, status.Err(err)
	}
	return s.message(st), nil
}

// Set changes the pool of an image as far as the request says.
func (s *poolService) Set(ctx context.Context, req *blockmillpb.SetPoolRequest) (*blockmillpb.Pool, error) {
	if err := rules.Check(req); err != nil {
		return nil, err
	}
	img, err := findImage(ctx, s.node, req.GetImageId(), auth.Editor)
	if err != nil {
		return nil, status.Err(err)
	}
	st, err := s.node.ChangePool(ctx, img.ID, func(s ready.Settings) ready.Settings { return changed(s, req) })
	if bad, ok := errors.AsType[*ready.SettingsError](err); ok {
		err = bad // the caller knows what it asked for
	}
	if err != nil {
		return nil, status.Err(err)
	}
	return s.message(st), nil
}

// longestIdle is the longest time in seconds after which a pool may be idle.
const longestIdle = int64(math.MaxInt64 / time.Second)

// changed gives settings with what a request says.
func changed(s ready.Settings, req *blockmillpb.SetPoolRequest) ready.Settings {
	if req.Min != nil {
		s.Min = int(req.GetMin())
	}
	if req.Max != nil {
		s.Max = int(req.GetMax())
	}
	if req.Capacity != nil {
		s.Capacity = int(req.GetCapacity())
	}
	if req.IdleSeconds != nil {
		s.IdleLimit = time.Duration(min(max(req.GetIdleSeconds(), -1), longestIdle)) * time.Second
	}
	return s
}

func (s *poolService) message(st ready.Stat) *blockmillpb.Pool {
	return &blockmillpb.Pool{
		ImageId: string(st.Key), Min: int64(st.Settings.Min), Max: int64(st.Settings.Max),
		Capacity: int64(st.Settings.Capacity), IdleSeconds: int64(st.Settings.IdleLimit / time.Second),
		Ready: int64(st.Ready), Target: int64(st.Target), Waiting: int64(st.Waiting), Bytes: st.Bytes,
		Hits: uint64(st.Hits), Misses: uint64(st.Misses + st.Waits), RefillSeconds: st.Refill.Seconds(),
		Method: string(s.node.ReadyMethod()),
	}
}
