// Package router finds the route of a restful.Container that serves a request, in a tree of
// path segments. Literal segments win over parameters, whatever web service declares them;
// HEAD is served as GET is. What nothing serves is 404, or 405 with an Allow header.
package router
