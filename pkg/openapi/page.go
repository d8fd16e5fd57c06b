package openapi

import (
	"html/template"

	"github.com/swaggest/swgui"
)

// pageConfig is Swagger UI as it is served: sections are closed, since there are more
// than 200 operations, and a filter finds them.
func pageConfig() swgui.Config {
	return swgui.Config{
		ShowTopBar: true, // where one chooses between the two
		AppendHead: narrowLayout,
		SettingsUI: map[string]string{
			"docExpansion":     `"none"`,
			"filter":           "true",
			"operationsSorter": newestFirst,
			"validatorUrl":     "null", // nothing is sent elsewhere
			"urls":             `[{"name": "ks-apiserver", "url": "` + DocumentPath + `"}, {"name": "custom resources", "url": "` + DefinitionsPath + `"}]`,
		},
	}
}

// newestFirst sorts the operations of a section: by the version of their API as
// Kubernetes orders versions, the newest first, then by path and method.
const newestFirst = `function (a, b) {
	var rank = function (operation) {
		var version = /\/v(\d+)(?:(alpha|beta)(\d+))?(?=\/|$)/.exec(operation.get("path"));
		if (!version) { return [0, 0, 0]; }
		return [version[2] === "alpha" ? 1 : version[2] === "beta" ? 2 : 3, Number(version[1]), Number(version[3] || 0)];
	};
	var first = rank(a), second = rank(b);
	for (var n = 0; n < first.length; n++) {
		if (first[n] !== second[n]) { return second[n] - first[n]; }
	}
	return a.get("path").localeCompare(b.get("path")) || a.get("method").localeCompare(b.get("method"));
}`

// narrowLayout keeps the page readable on a phone: Swagger UI gives paths, tables
// and forms a width that does not shrink.
const narrowLayout = template.HTML(`<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
@media (max-width: 720px) {
	.swagger-ui .wrapper, .swagger-ui .information-container, .swagger-ui .scheme-container { padding-left: 8px; padding-right: 8px; }
	.swagger-ui .topbar-wrapper, .swagger-ui .opblock-tag, .swagger-ui .opblock-section-header { flex-wrap: wrap; }
	.swagger-ui .topbar .download-url-wrapper, .swagger-ui .topbar .download-url-wrapper .select-label { max-width: 100%; flex: 1 1 100%; }
	.swagger-ui .opblock-tag small { flex: 1 1 100%; padding: 0; }
	.swagger-ui .opblock .opblock-summary, .swagger-ui .opblock .opblock-summary-control { flex-wrap: wrap; min-width: 0; }
	.swagger-ui .opblock .opblock-summary-method { min-width: 64px; padding: 4px 0; font-size: 12px; }
	.swagger-ui .opblock .opblock-summary-path-description-wrapper { flex: 1 1 100%; flex-direction: column; align-items: flex-start; min-width: 0; }
	.swagger-ui .opblock .opblock-summary-path { max-width: 100%; padding: 0; flex-shrink: 1; }
	.swagger-ui .opblock .opblock-summary-path, .swagger-ui .opblock .opblock-summary-path a, .swagger-ui .opblock .opblock-summary-description { overflow-wrap: anywhere; word-break: break-word; }
	.swagger-ui table, .swagger-ui table tbody, .swagger-ui table tr, .swagger-ui table td { display: block; width: auto; }
	.swagger-ui table thead { display: none; }
	.swagger-ui .parameters-col_description input, .swagger-ui .parameters-col_description select, .swagger-ui .parameters-col_description textarea { max-width: 100%; width: 100%; min-width: 0; }
	.swagger-ui .opblock-body pre, .swagger-ui .highlight-code, .swagger-ui .microlight { max-width: 100%; overflow-x: auto; }
	.swagger-ui .execute-wrapper, .swagger-ui .btn-group { flex-wrap: wrap; padding: 8px; }
	.swagger-ui .dialog-ux .modal-ux { width: 96%; min-width: 0; max-width: 96%; }
}
</style>`)
