"""`spillway keeper`: the fleet's capacity policy over region stacks that are deployed."""
