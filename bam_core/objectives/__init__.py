"""Objectives behind one protocol (`bam_core.protocols.Objective`), one file each; recipes choose by name."""
