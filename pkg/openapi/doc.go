// Package openapi makes the OpenAPI documents from the declared routes, in
// Swagger 2.0 and OpenAPI 3.0, and serves them with Swagger UI. It imports
// pkg/route; pkg/app imports it.
package openapi
