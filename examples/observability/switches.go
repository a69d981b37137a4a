package main

import (
	"html/template"
	"net/http"
)

// switches is a page on which hosts are taken down and brought back.
func (all *hosts) switches() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		type row struct{ Name, State string }
		var rows []row
		for _, name := range all.names {
			rows = append(rows, row{name, all.byName[name].state()})
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = switchesPage.Execute(w, map[string]any{"Hosts": rows, "States": hostStates})
	})
	mux.HandleFunc("POST /hosts/{name}/{state}", func(w http.ResponseWriter, r *http.Request) {
		h, ok := all.byName[r.PathValue("name")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if err := h.set(r.PathValue("state")); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	// Other sites that are open in the same browser press no switches.
	return http.NewCrossOriginProtection().Handler(mux)
}

var switchesPage = template.Must(template.New("switches").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Hosts</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }
th { text-align: left; font-weight: normal; padding-right: 2rem; }
form { display: inline; }
button { font: inherit; padding: .2rem .8rem; margin: .2rem 0; }
button[aria-pressed=true] { font-weight: bold; outline: 2px solid; }
</style>
<h1>Hosts</h1>
<p>A client calls these hosts ten times a second. Choose how one of them shall be,
and watch <a href="/circuits/">what its circuit breaker does</a>, or <a href="/metrics">its metrics</a>.</p>
<table>
{{- range $host := .Hosts}}
<tr><th scope="row">{{$host.Name}}</th>
<td>{{range $state := $.States}}<form method="post" action="/hosts/{{$host.Name}}/{{$state}}"><button aria-pressed="{{eq $state $host.State}}">{{$state}}</button></form>
{{end}}</td></tr>
{{- end}}
</table>
`))
