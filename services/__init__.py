"""Decisions and IO in time: routing, pooling, tokens, transport, relaying, recording."""
