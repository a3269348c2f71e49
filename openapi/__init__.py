"""The public contract of /api/v1: bodies, and the document made from them and the routes."""
