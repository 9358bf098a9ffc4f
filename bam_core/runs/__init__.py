"""What begins with a recipe or a run folder: pretrain, evaluate, embed, replay; and what the folder holds."""
