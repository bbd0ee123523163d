// Package common says nothing.
package common
