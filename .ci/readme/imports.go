package readme

// What the README's pieces of code import, so that go.mod has it.
import (
	_ "github.com/gin-gonic/gin"
	_ "github.com/go-chi/chi/v5"
	_ "github.com/gorilla/sessions"
	_ "github.com/gumroad/goth-gumroad/gumroadtest"
	_ "github.com/labstack/echo/v4"
	_ "github.com/markbates/goth/gothic"
)
