"""What a recipe means: its keys, the parts that it names, which files may run, and the parts built."""
