"""The evaluations that papers on ImageNet report, for image runs of any size."""
