#!lua flags=allow-oom
-- Answer, on a server that takes writes: one that does not (a replica, a full disk) refuses any script that might write.
return 1
