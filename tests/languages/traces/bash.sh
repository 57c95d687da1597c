# Everything that a script can see of the shell that runs it. First: nobody else is there.
echo /proc/[0-9]* /proc/$$/fd/*
echo "$# <$*> <$0> <${BASH_SOURCE[*]}> <$_> $? $- $LINENO <$!> <$BASH_COMMAND>"
echo "${#BASH_ARGC[@]} ${BASH_ARGV[*]} ${#FUNCNAME[@]} ${BASH_LINENO[*]} $BASH_SUBSHELL $$ $PPID $SECONDS $BASH"
echo "${PIPESTATUS[@]}"
caller 0; hash; jobs; trap -p; alias; declare -F; shopt; set -o; ulimit -a; umask; times | wc -l
env -0 | sort -z | tr '\0' '\n'
declare -p | grep -v -e ' \(RANDOM\|SRANDOM\|EPOCH[A-Z]*\|SECONDS\|BASHPID\|E\?UID\|_\)\b'
ls /proc/self/fd /proc/$$/fd
cat /proc/$$/cmdline | tr '\0' ' '; readlink /proc/$$/exe; grep -e Sig -e Shd -e Threads -e Seccomp -e Cap /proc/$$/status
printf '%(%s)T' -2 | grep -c .; history; compgen -v | sort | tr '\n' ' '
[ -e /dev/fd/250 ] || [ -e /dev/fd/251 ] || echo closed
read -r line; echo "$line"; ls -la | wc -l; : & wait; echo $?
exec 3< main.sh; read -u 3 -r line; echo "$line"; kill -0 1; echo $?
