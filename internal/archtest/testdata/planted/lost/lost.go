// Package lost has no room.
package lost
