"""Many images: the command `intensity`, its rows, and where images come from. docs/command.md is its manual."""
