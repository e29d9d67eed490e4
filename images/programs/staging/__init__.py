"""How weights get from the region's bucket to scratch. `images.programs.stage` is the program."""
