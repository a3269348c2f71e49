"""Wire formats of clients and upstreams: pure codecs, both directions, no IO."""
