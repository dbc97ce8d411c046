//go:build race

package main

// raceEnabled: the program under test is built like its test.
const raceEnabled = true
