// Package terminal is the door to terminals in the browser: shells in the
// containers of pods and on nodes, over WebSockets with the frames of
// KubeSphere's console. Kubernetes sees the person at the keyboard.
package terminal
