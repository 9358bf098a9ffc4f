"""From Python what the command `bam` does from a shell: pretrain, evaluate, embed, compare."""
