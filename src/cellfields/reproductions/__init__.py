"""Published studies that are repeated with this package."""
