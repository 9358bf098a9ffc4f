"""Measurements that anyone can repeat: interleaved, with medians and spreads, machine and versions."""
