// Package extensions lets services of the cluster serve a part of the API, as
// APIService and ReverseProxy objects say. Who calls and whether he may is
// found out before, and the identity passed on. It imports domains and below;
// pkg/app imports it.
package extensions
