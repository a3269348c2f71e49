"""HTTP in and out: routes, middleware and one module per group of endpoints."""
