package readme

// The documentation's blocks import these packages. The imports here make
// "go mod tidy" keep them in go.mod.
import (
	_ "github.com/alexedwards/scs/v2"
	_ "github.com/boj/redistore"
	_ "github.com/gin-gonic/gin"
	_ "github.com/go-chi/chi/v5"
	_ "github.com/gobuffalo/buffalo"
	_ "github.com/gofiber/fiber/v2/middleware/adaptor"
	_ "github.com/gofiber/fiber/v2/middleware/logger"
	_ "github.com/gofiber/fiber/v3/middleware/adaptor"
	_ "github.com/gofiber/fiber/v3/middleware/logger"
	_ "github.com/gorilla/mux"
	_ "github.com/gorilla/sessions"
	_ "github.com/gumroad/goth-gumroad/gumroadtest"
	_ "github.com/hashicorp/go-retryablehttp"
	_ "github.com/labstack/echo/v4"
	_ "github.com/labstack/echo/v4/middleware"
	_ "github.com/labstack/echo/v5"
	_ "github.com/labstack/echo/v5/middleware"
	_ "github.com/markbates/goth/gothic"
	_ "github.com/shareed2k/goth_fiber"
	_ "modernc.org/sqlite"
)
