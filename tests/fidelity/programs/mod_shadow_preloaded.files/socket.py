MINE = "socket"
