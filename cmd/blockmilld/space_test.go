package main

import "testing"

// Where there is no room, what needs none goes on.
func TestRefuse(t *testing.T) {
	s := newSpace("1000T", t.TempDir()) // no machine has so much
	for method, goesOn := range map[string]bool{
		"/yandex.cloud.compute.v1.ImageService/Create":    false,
		"/yandex.cloud.compute.v1.ImageService/Delete":    true,
		"/yandex.cloud.operation.OperationService/Cancel": true,
		"/blockmill.v1.DiskService/Attach":                true,
		"/blockmill.v1.PoolService/Set":                   false,
		"/blockmill.v1.NodeService/Scrub":                 true,
		"/blockmill.v1.NodeService/CollectGarbage":        true,
	} {
		if err := s.refuse(method); (err == nil) != goesOn {
			t.Errorf("%s: %v", method, err)
		}
	}
}
