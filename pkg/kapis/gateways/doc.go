// Package gateways is the door to the gateways of projects: objects of the group
// gateway.kubesphere.io in one namespace, of which a controller makes ingress
// controllers, and routers, as they were called before.
package gateways
