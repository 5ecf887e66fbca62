// Package convert carries guest bytes between images, files and the store.
package convert
