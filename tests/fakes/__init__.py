"""Stand-ins that tests start: servers, clocks."""
