import socket

from attack import attempt

PATHS = (
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/systemd/private",
    "/run/dbus/system_bus_socket",
    "/tmp/.X11-unix/X0",
    "\0/tmp/.X11-unix/X0",
    "\0dbus",
)
for path in PATHS:
    attempt(path, lambda path=path: socket.socket(socket.AF_UNIX).connect(path))
