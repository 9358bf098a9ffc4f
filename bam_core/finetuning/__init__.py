"""From a pretrained encoder and labels to a classifier or regressor, beside what one would have without pretraining."""
