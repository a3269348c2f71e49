"""The assembled program: version, command line, wiring and the web application."""

__version__ = "0.1.0"
