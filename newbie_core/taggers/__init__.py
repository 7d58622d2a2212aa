"""Taggers: what a picture shows, in tags with probabilities."""
