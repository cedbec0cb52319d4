"""REST: FastAPI routers, one module a feature; thin: parse, authorise, call the domain, answer."""
