module github.com/gumroad/goth-gumroad

go 1.24.0

require (
	github.com/gorilla/sessions v1.4.0
	github.com/markbates/goth v1.82.0
	github.com/stretchr/testify v1.12.1
	golang.org/x/oauth2 v0.34.0
)

require (
	github.com/go-chi/chi/v5 v5.2.2 // indirect
	github.com/gorilla/mux v1.8.1 // indirect
	github.com/gorilla/securecookie v1.1.2 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)
