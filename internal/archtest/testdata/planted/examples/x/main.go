package main

import "github.com/shoalgrid/shoal/jobs"

func main() { jobs.Fine() }
