package kubeproxy

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"
)

// What the fields of a protobuf body may take in memory, about, as pkg/strictjson bounds
// JSON. An empty message takes two bytes: kube-apiserver validated 1.5 million for half a
// minute.
const (
	protobufMessageMemory = 320
	protobufValueMemory   = 48
	maxProtobufMemory     = 32 << 20
	maxProtobufDepth      = 32
)

// isProtobufTooComplex reports whether the objects and values of a body in protobuf are too
// many. Which fields are messages is not known without their types: all that could be count.
func isProtobufTooComplex(body []byte) bool {
	memory, _ := protobufMemory(bytes.TrimPrefix(body, []byte("k8s\x00")), maxProtobufDepth)
	return memory > maxProtobufMemory
}

// protobufMemory returns what the fields of a message take at most, about, and whether the
// text is a message. It stops at maxProtobufMemory.
func protobufMemory(text []byte, depth int) (memory int, isMessage bool) {
	for len(text) > 0 && memory <= maxProtobufMemory {
		_, kind, n := protowire.ConsumeTag(text)
		if n < 0 {
			return protobufValueMemory, false
		}
		text = text[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(1, kind, text); n < 0 {
				return protobufValueMemory, false
			}
			memory, text = memory+protobufValueMemory, text[n:]
			continue
		}
		content, n := protowire.ConsumeBytes(text)
		if n < 0 {
			return protobufValueMemory, false
		}
		text = text[n:]
		added, nested := protobufValueMemory, false
		if depth > 0 {
			added, nested = protobufMemory(content, depth-1)
		}
		if memory += added; nested {
			memory += protobufMessageMemory
		}
	}
	return memory, true
}
