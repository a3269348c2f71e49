"""Our own HTTP/1.1 client: what a request costs on the way to a provider is most of its price."""
