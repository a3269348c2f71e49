"""Knowledge about upstream services: address, signing, reading of failures; no IO."""
