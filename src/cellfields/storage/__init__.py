"""Files that are whole or not there, one spelling of JSON, and sealed arrays, for datasets and models."""
