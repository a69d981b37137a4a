package statuspage

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
)

// The page is one document: style and script stand in it.
var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/model.js
	modelJS string
	//go:embed page/view.js
	viewJS string
	//go:embed page/events.js
	eventsJS string
	//go:embed page/main.js
	mainJS string

	pageScript   = "'use strict';\n" + modelJS + viewJS + eventsJS + mainJS
	pageTemplate = template.Must(template.New("page").Parse(pageHTML))

	// pagePolicy lets nothing be loaded but the JSON and the events, and no
	// string become markup or script.
	pagePolicy = "default-src 'none'; connect-src 'self'; img-src data:" +
		"; script-src " + sourceHash(pageScript) + "; style-src " + sourceHash(pageCSS) +
		"; require-trusted-types-for 'script'; trusted-types 'none'" +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// sourceHash is the CSP source that allows just this inline text.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", pagePolicy)
	data := struct {
		Title    string
		Control  bool
		Fleet    bool
		Operator string
		Style    template.CSS
		Script   template.JS
	}{
		Title:   h.opts.Title,
		Control: h.opts.Control != nil && h.opts.Control(r),
		Fleet:   h.opts.Fleet != nil,
		Style:   template.CSS(pageCSS),
		Script:  template.JS(pageScript),
	}
	if data.Control {
		data.Operator = h.operator(r)
	}
	_ = pageTemplate.Execute(w, data) // fails only when the client has gone
}
