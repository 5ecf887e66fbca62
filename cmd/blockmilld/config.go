package main

import (
	"time"

	"github.com/blockmill/blockmill/cmd/bytesize"
)

// config is everything that can be configured; defaults.yaml says what it means.
type config struct {
	DataDir       string        `koanf:"data_dir"`
	RunDir        string        `koanf:"run_dir"`
	DefaultFolder string        `koanf:"default_folder"`
	StopTimeout   time.Duration `koanf:"stop_timeout"`

	Log struct {
		Level  string `koanf:"level"`
		Format string `koanf:"format"`
	} `koanf:"log"`
	GRPC struct {
		Socket    string    `koanf:"socket"`
		Listen    []string  `koanf:"listen"`
		TLS       tlsConfig `koanf:"tls"`
		Advertise string    `koanf:"advertise"`
	} `koanf:"grpc"`
	REST struct {
		Listen []string  `koanf:"listen"`
		TLS    tlsConfig `koanf:"tls"`
		Hosts  []string  `koanf:"hosts"`
		Page   bool      `koanf:"page"`
	} `koanf:"rest"`
	Metrics struct {
		Listen  []string      `koanf:"listen"`
		Refresh time.Duration `koanf:"refresh"`
	} `koanf:"metrics"`
	NBD struct {
		Socket string    `koanf:"socket"`
		Listen []string  `koanf:"listen"`
		TLS    tlsConfig `koanf:"tls"`
	} `koanf:"nbd"`
	Auth struct {
		Accounts []account `koanf:"accounts"`
	} `koanf:"auth"`
	Limits struct {
		Connections     int           `koanf:"connections"`
		Streams         int           `koanf:"streams"`
		Calls           int           `koanf:"calls"`
		Requests        int           `koanf:"requests"`
		SubjectCalls    int           `koanf:"subject_calls"`
		SubjectRequests int           `koanf:"subject_requests"`
		Message         bytesize.Size `koanf:"message"`
		Poll            time.Duration `koanf:"poll"`
	} `koanf:"limits"`
	Operations struct {
		Workers      int           `koanf:"workers"`
		Queue        int           `koanf:"queue"`
		HistoryAge   time.Duration `koanf:"history_age"`
		HistoryCount int           `koanf:"history_count"`
	} `koanf:"operations"`
	Store storeConfig `koanf:"store"`
	Disks struct {
		Dirs    []diskDir     `koanf:"dirs"`
		Methods []string      `koanf:"methods"`
		Ready   bytesize.Size `koanf:"ready"`
		Bases   bytesize.Size `koanf:"bases"`
		Rate    bytesize.Size `koanf:"rate"`
	} `koanf:"disks"`
	Import struct {
		Formats        []string      `koanf:"formats"`
		MaxVirtualSize bytesize.Size `koanf:"max_virtual_size"`
	} `koanf:"import"`
	Fetch struct {
		Allow        []string `koanf:"allow"`
		AllowHTTP    bool     `koanf:"allow_http"`
		MaxRedirects int      `koanf:"max_redirects"`
	} `koanf:"fetch"`
	Export struct {
		Endpoint      string   `koanf:"endpoint"`
		Region        string   `koanf:"region"`
		Buckets       []string `koanf:"buckets"`
		AccessKeyFile string   `koanf:"access_key_file"`
		SecretKeyFile string   `koanf:"secret_key_file"`
	} `koanf:"export"`
	Maintenance struct {
		GCInterval    time.Duration `koanf:"gc_interval"`
		Recompress    bool          `koanf:"recompress"`
		ScrubInterval time.Duration `koanf:"scrub_interval"`
		ScrubRate     bytesize.Size `koanf:"scrub_rate"`
		ScrubRepair   bool          `koanf:"scrub_repair"`
	} `koanf:"maintenance"`
	Memory struct {
		Limit bytesize.Size `koanf:"limit"`
		Arena bytesize.Size `koanf:"arena"`
	} `koanf:"memory"`
}

// tlsConfig names the files of a listener's certificates; none is no TLS.
type tlsConfig struct {
	Certificate string `koanf:"certificate"`
	Key         string `koanf:"key"`
	ClientCA    string `koanf:"client_ca"`
}

func (t tlsConfig) enabled() bool { return t.Certificate != "" || t.Key != "" || t.ClientCA != "" }

// account is somebody who may call.
type account struct {
	ID           string            `koanf:"id"`
	Type         string            `koanf:"type"`
	Folders      map[string]string `koanf:"folders"`
	TokenSHA256  []string          `koanf:"token_sha256"`
	Certificates []string          `koanf:"certificates"`
	UIDs         []uint32          `koanf:"uids"`
	GIDs         []uint32          `koanf:"gids"`
}

// storeConfig says where the store is, and what shape a new one has.
type storeConfig struct {
	Dir               string           `koanf:"dir"`
	Shards            []string         `koanf:"shards"`
	Data              int              `koanf:"data"`
	Parity            int              `koanf:"parity"`
	AllowSharedDevice bool             `koanf:"allow_shared_device"`
	Reserve           bytesize.Reserve `koanf:"reserve"`
	EncodeAll         bool             `koanf:"encode_all"`
}
