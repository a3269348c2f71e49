"""Pure authentication knowledge, towards clients and towards upstreams; sends nothing."""
