package main

import (
	_ "embed"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/blockmill/blockmill/cmd/bytesize"
)

//go:embed defaults.yaml
var defaults []byte

const envPrefix = "BLOCKMILL_"

var errUnknownKey = errors.New("unknown key")

// sources are where the configuration comes from.
type sources struct {
	path    string         // of the file, "" for none
	flags   *pflag.FlagSet // those that were given count
	environ []string
}

// keyFlags are the flags that stand for keys.
var keyFlags = map[string]string{
	"data-dir": "data_dir", "log-level": "log.level",
	"grpc-listen": "grpc.listen", "rest-listen": "rest.listen", "metrics-listen": "metrics.listen",
}

// load reads the configuration: the defaults, over them the file, the environment
// and the flags.
func (s sources) load() (*koanf.Koanf, *config, error) {
	base, err := yaml.Parser().Unmarshal(defaults)
	if err != nil {
		return nil, nil, fmt.Errorf("read defaults: %w", err)
	}
	k := koanf.New(".")
	layers := []func() error{
		func() error { return k.Load(confmap.Provider(base, ""), nil) },
		func() error { return s.loadFile(k) },
		func() error { return s.loadEnvironment(k) },
		func() error { return s.loadFlags(k) },
	}
	for _, load := range layers {
		if err := load(); err != nil {
			return nil, nil, err
		}
	}
	c, err := decode(k)
	if err != nil {
		return nil, nil, err
	}
	return k, c, c.validate()
}

func (s sources) loadFile(k *koanf.Koanf) error {
	if s.path == "" {
		return nil
	}
	given := koanf.New(".")
	if err := given.Load(file.Provider(s.path), yaml.Parser()); err != nil {
		return fmt.Errorf("read configuration %s: %w", s.path, err)
	}
	if _, err := decode(given); err != nil {
		return fmt.Errorf("configuration %s: %w", s.path, err)
	}
	return k.Merge(given)
}

// loadEnvironment reads the variables of keys. One that begins as a section does
// and is no key is a mistake; others are not the daemon's.
func (s sources) loadEnvironment(k *koanf.Koanf) error {
	keys := make(map[string]string)
	for _, key := range k.Keys() {
		keys[envPrefix+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))] = key
	}
	var unknown []string
	provider := env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return s.environ },
		TransformFunc: func(name, value string) (string, any) {
			key := keys[name]
			if key == "" && inSection(k, name) {
				unknown = append(unknown, name)
			}
			return key, value
		},
	})
	if err := k.Load(provider, nil); err != nil {
		return fmt.Errorf("read environment: %w", err)
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return fmt.Errorf("environment: %w: %s", errUnknownKey, strings.Join(unknown, ", "))
	}
	return nil
}

func inSection(k *koanf.Koanf, name string) bool {
	for section, value := range k.Raw() {
		if _, ok := value.(map[string]any); ok && strings.HasPrefix(name, envPrefix+strings.ToUpper(section)+"_") {
			return true
		}
	}
	return false
}

func (s sources) loadFlags(k *koanf.Koanf) error {
	if s.flags == nil {
		return nil
	}
	provider := posflag.ProviderWithFlag(s.flags, ".", k, func(f *pflag.Flag) (string, any) {
		if !f.Changed {
			return "", nil
		}
		return keyFlags[f.Name], f.Value.String()
	})
	if err := k.Load(provider, nil); err != nil {
		return fmt.Errorf("read flags: %w", err)
	}
	return nil
}

// decode makes a configuration of keys; one that it does not have is an error.
func decode(k *koanf.Koanf) (*config, error) {
	c := new(config)
	err := k.UnmarshalWithConf("", c, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result:           c,
		TagName:          "koanf",
		WeaklyTypedInput: true,
		ErrorUnused:      true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(),
			plainNumber,
			numberToText,
			mapstructure.TextUnmarshallerHookFunc(),
			emptyToSlice,
			textToDirs,
			mapstructure.StringToSliceHookFunc(","),
		),
	}})
	if err != nil {
		return nil, plain(err)
	}
	return c, nil
}

var (
	errUnit  = errors.New("want a time with its unit, such as 30s")
	errWhole = errors.New("want a whole number")
	errRange = errors.New("want a number from 0 to 4294967295")
)

// plainNumber refuses numbers that would be taken for others: times without a unit,
// fractions, and ids of users that do not fit.
func plainNumber(_, to reflect.Type, value any) (any, error) {
	switch n := value.(type) {
	case int:
		switch {
		case to == reflect.TypeFor[time.Duration]() && n != 0:
			return nil, fmt.Errorf("%d: %w", n, errUnit)
		case to.Kind() == reflect.Uint32 && (n < 0 || n > math.MaxUint32):
			return nil, fmt.Errorf("%d: %w", n, errRange)
		}
	case float64:
		if to == reflect.TypeFor[time.Duration]() {
			return nil, fmt.Errorf("%v: %w", n, errUnit)
		}
		if k := to.Kind(); k == reflect.Int || k == reflect.Uint32 {
			return nil, fmt.Errorf("%v: %w", n, errWhole)
		}
	}
	return value, nil
}

// numberToText lets a size be given as a plain number.
func numberToText(from, to reflect.Type, value any) (any, error) {
	switch to {
	case reflect.TypeFor[bytesize.Size](), reflect.TypeFor[bytesize.Reserve]():
		if from.Kind() != reflect.String {
			return fmt.Sprint(value), nil
		}
	}
	return value, nil
}

// emptyToSlice makes no elements of an empty text, such as a variable has.
func emptyToSlice(from, to reflect.Type, value any) (any, error) {
	if text, ok := value.(string); ok && to.Kind() == reflect.Slice && strings.TrimSpace(text) == "" {
		return []string{}, nil
	}
	return value, nil
}

// textToDirs lets directories be a list in a text, as one of paths is.
func textToDirs(from, to reflect.Type, value any) (any, error) {
	if text, ok := value.(string); ok && to == reflect.TypeFor[[]diskDir]() {
		return strings.Split(text, ","), nil
	}
	return value, nil
}

// plain says in one line what the decoder has to say.
func plain(err error) error {
	text := err.Error()
	if _, keys, ok := strings.Cut(text, "has invalid keys: "); ok {
		return fmt.Errorf("%w: %s", errUnknownKey, strings.Join(strings.Fields(keys), " "))
	}
	return errors.New(strings.Join(strings.Fields(text), " "))
}
