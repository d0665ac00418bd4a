"""What this is the version of: of everything here."""

VERSION = "0.2.0"
