"""Finds stalls of targets, collects their evidence and names their causes."""
