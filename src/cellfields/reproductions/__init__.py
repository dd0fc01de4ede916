"""Published results, made again with this package."""
