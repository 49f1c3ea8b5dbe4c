"""Protocols, metrics, cost, and tables of both."""
