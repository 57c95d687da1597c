#!/bin/sh
# The first process of a kernel of its own: runs the tests of memory under cgroup version 2, as root and as a user.
# The kernel's command line gives CHECKOUT, PYTHON, STATE, USER_ID.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mkdir -p /dev/shm && mount -t tmpfs shm /dev/shm
mount -t cgroup2 -o nsdelegate cgroup /sys/fs/cgroup
ip link set lo up
cd "$CHECKOUT" || exit
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/run TMPDIR=/run LANG=C.UTF-8
export PYTHONDONTWRITEBYTECODE=1 EVAL_STATE_DIR="$STATE" PYTHONPYCACHEPREFIX="$STATE/pycache"
options="-q --color=no --tb=short -p no:hypothesispytest -p no:schemathesis"
chosen="memory and not rlimits"

echo "== doctor"
"$PYTHON" -c "from sandbox.host import probe; print(probe._cgroups().detail)"
echo "== root"
"$PYTHON" -m pytest $options -o cache_dir=/run/cache --basetemp=/run/tests tests/jail/test_limits.py -k "$chosen"
echo "== user"
group=/sys/fs/cgroup/session
mkdir $group
"$PYTHON" -c "import os; os.setxattr('$group', 'user.delegate', b'1')"
chown "$USER_ID" $group $group/cgroup.procs $group/cgroup.subtree_control
sh -c "echo 0 > $group/cgroup.procs; exec '$PYTHON' tests/as_user.py $options tests/jail/test_limits.py -k '$chosen'"
echo "== over"
echo o > /proc/sysrq-trigger
sleep 5
