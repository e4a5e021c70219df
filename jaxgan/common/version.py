"""The version, which a source tree that is not installed has too."""

VERSION = "0.1.0"
