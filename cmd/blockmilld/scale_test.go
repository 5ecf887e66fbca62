package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	computepb "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/blockio"
	"github.com/blockmill/blockmill/cmd/bytesize"
	"github.com/blockmill/blockmill/convert"
	"github.com/blockmill/blockmill/convert/raw"
	"github.com/blockmill/blockmill/pool"
)

// TestManyImages starts a daemon with many images, and an operation in the history
// for each: BLOCKMILL_SCALE says how many. It logs how long the start takes, and
// what lists, filters and gets do.
func TestManyImages(t *testing.T) {
	count := 500
	if s := os.Getenv("BLOCKMILL_SCALE"); s != "" {
		count = must(strconv.Atoi(s))(t)
	}
	p := newProcess(t)
	data := filepath.Join(p.dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	ids := manyImages(t, filepath.Join(data, "store"), count)
	t.Logf("%d images made in %v", count, time.Since(begin))
	begin = time.Now()
	manyOperations(t, filepath.Join(data, "operations"), ids)
	t.Logf("%d operations made in %v", count, time.Since(begin))

	environ := "BLOCKMILL_OPERATIONS_HISTORY_COUNT=" + strconv.Itoa(2*count)
	for range 2 {
		begin = time.Now()
		p.start(environ)
		t.Logf("ready after %v, resident %v", time.Since(begin), bytesize.Size(p.gauge("process_resident_memory_bytes")))
		p.stop()
	}
	// Without the index everything is read from the shards.
	if err := os.RemoveAll(filepath.Join(data, "store", "index")); err != nil {
		t.Fatal(err)
	}
	begin = time.Now()
	p.start(environ)
	t.Logf("ready after %v without the index, resident %v", time.Since(begin), bytesize.Size(p.gauge("process_resident_memory_bytes")))

	conn := must(grpc.NewClient(p.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20))))(t)
	defer conn.Close()
	images := computepb.NewImageServiceClient(conn)
	wantAllListed(t, images, ids)
	wantFiltered(t, images, ids)
	wantGot(t, images, opb.NewOperationServiceClient(conn), ids)
	t.Logf("resident in the end %v", bytesize.Size(p.gauge("process_resident_memory_bytes")))
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// atOnce is how many records are written at once, so that many go together.
const atOnce = 256

// manyImages makes a store with images, all of the same bytes, and gives their ids.
func manyImages(t *testing.T, dir string, count int) []string {
	t.Helper()
	ctx := t.Context()
	arena := blockio.NewArena(64 << 20)
	s := must(openStore(ctx, dir, storeConfig{Data: 1, Reserve: bytesize.AutoReserve}, storeOptions{arena: arena, log: slog.New(slog.DiscardHandler), create: true}))(t)
	node := must(pool.Open(ctx, pool.Options{Store: s.Store, Arena: arena}))(t)
	first := must(node.ReserveImage(pool.Image{Meta: pool.Meta[pool.ImageID]{Name: "first"}}))(t)
	content := must(raw.Open(strings.NewReader(strings.Repeat("x", 4096)), 4096))(t)
	must(node.FillImage(ctx, first.ID, pool.Filling{Content: content, Format: convert.Raw}))(t)
	ids := make([]string, count)
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i := range count {
		group.Go(func() error {
			img, err := node.ReserveImage(pool.Image{
				Meta: pool.Meta[pool.ImageID]{
					Name: fmt.Sprintf("image-%06d", i), Description: "One of many", Labels: map[string]string{"tenth": strconv.Itoa(i % 10)},
				},
				Family: fmt.Sprintf("family-%d", i%1000), Source: pool.Source{Image: first.ID},
			})
			if err == nil {
				ids[i] = string(img.ID)
				_, err = node.CopyImage(ctx, img.ID, nil)
			}
			return err
		})
	}
	if err := errors.Join(group.Wait(), node.Close(), s.close(ctx)); err != nil {
		t.Fatal(err)
	}
	return ids
}

// manyOperations makes a history with an operation of each image.
func manyOperations(t *testing.T, dir string, images []string) {
	t.Helper()
	ctx := t.Context()
	engine := must(operation.Open(ctx, operation.Options{Dir: dir, HistoryCount: 2 * len(images)}))(t)
	engine.Register("image.create", operation.HandlerFunc(func(_ context.Context, op *operation.Running) (proto.Message, error) {
		return &computepb.Image{Id: op.ResourceID(), FolderId: "default"}, nil
	}))
	if err := engine.Start(ctx); err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, id := range images {
		group.Go(func() error {
			_, err := engine.Submit(ctx, operation.Spec{
				Kind: "image.create", Folder: "default", Description: "Create image", CreatedBy: "operator", Inline: true,
				ResourceID: id, Metadata: &computepb.CreateImageMetadata{ImageId: id}, Request: &computepb.CreateImageRequest{FolderId: "default"},
			})
			return err
		})
	}
	if err := errors.Join(group.Wait(), engine.Close(ctx)); err != nil {
		t.Fatal(err)
	}
}

// wantAllListed pages through all images in each order.
func wantAllListed(t *testing.T, images computepb.ImageServiceClient, ids []string) {
	t.Helper()
	for _, order := range []string{"", "name desc", "createdAt"} {
		seen := make(map[string]bool)
		var took []time.Duration
		for req := (&computepb.ListImagesRequest{FolderId: "default", PageSize: 1000, OrderBy: order}); ; {
			begin := time.Now()
			page := must(images.List(t.Context(), req))(t)
			took = append(took, time.Since(begin))
			for _, img := range page.GetImages() {
				seen[img.GetId()] = true
			}
			if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if len(seen) != len(ids)+1 {
			t.Errorf("by %q %d images are listed, want %d", order, len(seen), len(ids)+1)
		}
		t.Logf("pages of 1000 by %q: %v", order, quantiles(took))
	}
}

// wantFiltered looks for one image, for some, and for none.
func wantFiltered(t *testing.T, images computepb.ImageServiceClient, ids []string) {
	t.Helper()
	for filter, want := range map[string]int{
		fmt.Sprintf(`name = "image-%06d"`, len(ids)/2): 1, `labels.tenth = "3"`: min(100, len(ids)/10), `labels.tenth = "x"`: 0,
		`family = "family-7"`: min(100, (len(ids)+992)/1000), `id = "` + ids[0] + `"`: 1,
	} {
		var took []time.Duration
		for range 20 {
			begin := time.Now()
			page := must(images.List(t.Context(), &computepb.ListImagesRequest{FolderId: "default", Filter: filter}))(t)
			took = append(took, time.Since(begin))
			if len(page.GetImages()) != want {
				t.Errorf("%s: %d images, want %d", filter, len(page.GetImages()), want)
			}
		}
		t.Logf("a list of %s: %v", filter, quantiles(took))
	}
}

// wantGot gets images, and their operations.
func wantGot(t *testing.T, images computepb.ImageServiceClient, operations opb.OperationServiceClient, ids []string) {
	t.Helper()
	took := make(map[string][]time.Duration)
	for i := range 2000 {
		id := ids[i*7919%len(ids)]
		begin := time.Now()
		must(images.Get(t.Context(), &computepb.GetImageRequest{ImageId: id}))(t)
		took["get"] = append(took["get"], time.Since(begin))
		begin = time.Now()
		list := must(images.ListOperations(t.Context(), &computepb.ListImageOperationsRequest{ImageId: id}))(t)
		took["operations of an image"] = append(took["operations of an image"], time.Since(begin))
		if len(list.GetOperations()) != 1 {
			t.Fatalf("operations of %s: %v", id, list)
		}
		begin = time.Now()
		must(operations.Get(t.Context(), &opb.GetOperationRequest{OperationId: list.GetOperations()[0].GetId()}))(t)
		took["operation"] = append(took["operation"], time.Since(begin))
		begin = time.Now()
		must(images.GetLatestByFamily(t.Context(), &computepb.GetImageLatestByFamilyRequest{FolderId: "default", Family: "family-7"}))(t)
		took["latest of a family"] = append(took["latest of a family"], time.Since(begin))
	}
	for what, d := range took {
		t.Logf("%s: %v", what, quantiles(d))
	}
}

// quantiles tells of durations.
func quantiles(all []time.Duration) string {
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[int(q*float64(len(all)-1))].Round(time.Microsecond) }
	return fmt.Sprintf("median %v, p99 %v, most %v", at(.5), at(.99), at(1))
}
