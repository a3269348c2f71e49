"""Each provider's wire format as the provider itself speaks it: what it writes, what it refuses.

Nothing here knows our codecs, so that a test does not agree with itself.
"""
