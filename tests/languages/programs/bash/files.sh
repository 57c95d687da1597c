umask; echo text > a; mkdir -p d/e; cp a d/e/b; ls -R; stat -c '%A %s' a; cat sub/given
