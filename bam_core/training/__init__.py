"""Between the first and the last step: Lightning's module and trainer, batches, callbacks, checkpoints."""
