package web

import "time"

// Status is what the page shows. Sizes are in bytes.
type Status struct {
	Node       Node        `json:"node"`
	Savings    Savings     `json:"savings"`
	Redundancy Redundancy  `json:"redundancy"`
	Images     []Image     `json:"images"`     // the newest first
	Pools      []Pool      `json:"pools"`      // of disks made ahead
	Disks      Disks       `json:"disks"`      // in use
	Operations []Operation `json:"operations"` // those that run, then the latest of the others
}

// Node is the daemon itself.
type Node struct {
	Name      string    `json:"name"`
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	Now       time.Time `json:"now"`
	// Warnings are sentences that an operator has to read.
	Warnings []string `json:"warnings"`
}

// Savings is what the images would take and what they take.
type Savings struct {
	VirtualBytes     int64 `json:"virtual_bytes"`     // the sizes of the disks
	DataBytes        int64 `json:"data_bytes"`        // what is not zero in them
	UniqueBytes      int64 `json:"unique_bytes"`      // of that, each chunk once
	StoredBytes      int64 `json:"stored_bytes"`      // compressed, without parity
	ReclaimableBytes int64 `json:"reclaimable_bytes"` // what a collection would free
	Chunks           int64 `json:"chunks"`
}

// Redundancy is the store's shards: any Data of them hold everything.
type Redundancy struct {
	Data   int `json:"data"`
	Parity int `json:"parity"`
	// Survives is how many more shards may be lost before bytes are; -1 says
	// that some cannot be read now.
	Survives  int        `json:"survives"`
	LastScrub *time.Time `json:"last_scrub,omitempty"`
	Shards    []Shard    `json:"shards"`
}

// Shard is one directory of the store.
type Shard struct {
	Index int    `json:"index"`
	State string `json:"state"` // a word
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	Bytes int64  `json:"bytes"`
	// SizeBytes and FreeBytes are the file system's; 0 when unknown.
	SizeBytes int64 `json:"size_bytes"`
	FreeBytes int64 `json:"free_bytes"`
}

// Image is an image, ready or in the making.
type Image struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Folder      string    `json:"folder"`
	Family      string    `json:"family,omitempty"`
	Status      string    `json:"status"`
	VirtualSize int64     `json:"virtual_size"`
	StorageSize int64     `json:"storage_size"`
	Pooled      bool      `json:"pooled"`
	CreatedAt   time.Time `json:"created_at"`
}

// Pool is the ready disks of one image.
type Pool struct {
	ImageID   string `json:"image_id"`
	ImageName string `json:"image_name"`
	Method    string `json:"method,omitempty"`
	Ready     int64  `json:"ready"`
	Target    int64  `json:"target"`
	Waiting   int64  `json:"waiting"` // creates that wait for one
	Hits      int64  `json:"hits"`
	Misses    int64  `json:"misses"`
}

// Disks counts the disks that are in use.
type Disks struct {
	Count int64 `json:"count"`
}

// Operation is one that is asked for, runs, or has ended.
type Operation struct {
	ID          string    `json:"id"`
	Description string    `json:"description"`
	ResourceID  string    `json:"resource_id,omitempty"`
	State       string    `json:"state"` // running (or about to), done, failed, cancelled
	Done        int64     `json:"done"`
	Total       int64     `json:"total"` // 0 when unknown
	Error       string    `json:"error,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	ModifiedAt  time.Time `json:"modified_at"`
}

// withLists gives lists that are nil as empty ones: the page counts them.
func (s Status) withLists() Status {
	s.Node.Warnings = orEmpty(s.Node.Warnings)
	s.Images = orEmpty(s.Images)
	s.Pools = orEmpty(s.Pools)
	s.Operations = orEmpty(s.Operations)
	s.Redundancy.Shards = orEmpty(s.Redundancy.Shards)
	return s
}

func orEmpty[E any](list []E) []E {
	if list == nil {
		return []E{}
	}
	return list
}
