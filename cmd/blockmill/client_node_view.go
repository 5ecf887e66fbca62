package main

import (
	"fmt"
	"io"
	"time"

	"github.com/blockmill/blockmill/api/blockmillpb"
)

// nodeView is what a node holds. Sizes are in bytes.
type nodeView struct {
	Version           string          `json:"version"`
	Images            int64           `json:"images"`
	Snapshots         int64           `json:"snapshots"`
	Disks             int64           `json:"disks"`
	Chunks            int64           `json:"chunks"`
	Segments          int64           `json:"segments"`
	LogicalBytes      int64           `json:"logical_bytes"`
	DataBytes         int64           `json:"data_bytes"`
	UniqueBytes       int64           `json:"unique_bytes"`
	StoredBytes       int64           `json:"stored_bytes"`
	ReclaimableBytes  int64           `json:"reclaimable_bytes"`
	Data              int32           `json:"data"`
	Parity            int32           `json:"parity"`
	Shards            []shardView     `json:"shards"`
	Directories       []directoryView `json:"disk_directories"`
	LastScrub         *time.Time      `json:"last_scrub"`
	OperationsQueued  int64           `json:"operations_queued"`
	OperationsRunning int64           `json:"operations_running"`
}

type shardView struct {
	Index     int32  `json:"index"`
	Path      string `json:"path"`
	State     string `json:"state"`
	Reason    string `json:"reason,omitempty"`
	UsedBytes int64  `json:"used_bytes"`
	FreeBytes int64  `json:"free_bytes"`
}

type directoryView struct {
	Path       string `json:"path"`
	FileSystem string `json:"file_system"`
	Reflink    bool   `json:"reflink"`
	UsedBytes  int64  `json:"used_bytes"`
	FreeBytes  int64  `json:"free_bytes"`
}

func viewNode(st *blockmillpb.NodeStat) nodeView {
	v := nodeView{
		Version: st.Version, Images: st.Images, Snapshots: st.Snapshots, Disks: st.Disks, Chunks: st.Chunks, Segments: st.Segments,
		LogicalBytes: st.LogicalBytes, DataBytes: st.DataBytes, UniqueBytes: st.UniqueBytes, StoredBytes: st.StoredBytes,
		ReclaimableBytes: st.ReclaimableBytes, Data: st.DataShards, Parity: st.ParityShards,
		Shards: []shardView{}, Directories: []directoryView{},
		OperationsQueued: st.OperationsQueued, OperationsRunning: st.OperationsRunning,
	}
	for _, s := range st.Shards {
		v.Shards = append(v.Shards, shardView{s.Index, s.Path, s.State, s.Reason, s.UsedBytes, s.FreeBytes})
	}
	for _, d := range st.DiskDirectories {
		v.Directories = append(v.Directories, directoryView{d.Path, d.FileSystem, d.Reflink, d.UsedBytes, d.FreeBytes})
	}
	if st.LastScrub != nil {
		t := instant(st.LastScrub)
		v.LastScrub = &t
	}
	return v
}

func (v nodeView) table(w io.Writer) {
	row(w, "version", v.Version)
	row(w, "images", v.Images)
	row(w, "snapshots", v.Snapshots)
	row(w, "disks", v.Disks)
	row(w, "logical", human(v.LogicalBytes))
	row(w, "data", human(v.DataBytes))
	row(w, "unique", human(v.UniqueBytes))
	row(w, "stored", human(v.StoredBytes))
	row(w, "reclaimable", human(v.ReclaimableBytes))
	row(w, "operations", fmt.Sprintf("%d running, %d queued", v.OperationsRunning, v.OperationsQueued))
	scrub := "never"
	if v.LastScrub != nil {
		scrub = v.LastScrub.Format(time.RFC3339)
	}
	row(w, "last scrub", scrub)
	for _, s := range v.Shards {
		row(w, fmt.Sprintf("shard %d", s.Index), s.Path, s.State, human(s.UsedBytes)+" used", human(s.FreeBytes)+" free", s.Reason)
	}
	for _, d := range v.Directories {
		row(w, "disks in", d.Path, d.FileSystem, human(d.UsedBytes)+" used", human(d.FreeBytes)+" free", "reflink: "+yes(d.Reflink))
	}
}
