"""Helpers that several collectors share."""
