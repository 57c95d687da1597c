MINE = "random"
