"""Adapters of bam-ssl: one folder a domain, each with readers, views and encoders."""

__distribution__ = "bam-ssl"
