"""Evaluation: protocols, metrics, the cost of a network, and tables of the results."""
